// SPDX-License-Identifier: Apache-2.0
import Glibc
import Synchronization

/// Threads of the stubs other than the leaders, as the tracer's pid namespace numbers them.
///
/// A leader's end is reported only when its other threads have been reaped, and traced threads are
/// reaped by their tracer. If a job dies while it is being rebuilt, the rebuilding thread waits for
/// a leader, and so nobody would reap the others: whoever killed the job does it here. Any thread.
final class SiblingThreads: Sendable {
    private let tids = Mutex<[pid_t]>([])

    func add(_ tid: pid_t) { tids.withLock { $0.append(tid) } }

    /// Takes the ends of all that have been killed, for at most ten seconds.
    func reap() {
        let limit = ContinuousClock.now + .seconds(10)
        while ContinuousClock.now < limit {
            var left = tids.withLock { $0 }
            left.removeAll { tid in
                var info = siginfo_t()
                let ended = WEXITED | WNOHANG | Int32(bitPattern: 0x4000_0000)  // __WALL
                return waitid(P_PID, id_t(tid), &info, ended) != 0 || info.si_signo != 0
            }
            tids.withLock { $0 = left }
            if left.isEmpty { return }
            usleep(1000)
        }
    }
}
