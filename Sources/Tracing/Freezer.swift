// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
import LinuxSystem

/// Stops every thread of a tree of processes, including those that appear meanwhile.
///
/// Use from one thread from beginning to end. If this process dies, the kernel detaches
/// everything and the job runs on.
public final class Freezer {
    public enum Failure: Error, CustomStringConvertible {
        /// Threads that did not stop in time, with what they were doing.
        case stuck(pid: pid_t, tid: pid_t, why: String)
        case refused(pid: pid_t, SystemError)

        public var description: String {
            switch self {
            case .stuck(let pid, let tid, let why):
                "process \(pid), thread \(tid) could not be stopped: \(why)"
            case .refused(let pid, let error): "process \(pid): \(error)"
            }
        }
    }

    private let roots: () -> [pid_t]
    /// Seized, but in a wait that no signal ends (vfork): they can neither be stopped nor detached
    /// now. The next attempt goes on with them; the end of this thread detaches them.
    private var lingering: [pid_t: Tracee] = [:]
    private var members: [pid_t: [pid_t: Tracee]] = [:]
    private var order: [pid_t] = []
    public private(set) var zombies: Set<pid_t> = []
    /// Ends of processes that were reaped here, because a tracer's wait comes before the
    /// parent's: raw wait status by pid.
    private var ended: [pid_t: Int32] = [:]

    /// Hands the ends over, once.
    public func takeEnded() -> [pid_t: Int32] {
        defer { ended = [:] }
        return ended
    }

    /// `roots`: the top processes of the job, asked anew on each pass.
    public init(roots: @escaping () -> [pid_t]) { self.roots = roots }

    /// Freezes the whole tree. Throws `Failure` with everything running again.
    public func freeze(within limitNanoseconds: Int64 = 10_000_000_000) throws -> [StoppedProcess] {
        let deadline = Clock.monotonic() + limitNanoseconds
        var attempt: UInt32 = 0
        while true {
            do {
                try stopAll(deadline: deadline)
                return try order.compactMap(stopped)
            } catch let failure as Failure {
                thaw()
                // A parent in vfork(2) cannot stop before its child has exec'ed: let both run
                // for a moment and try again.
                guard Clock.monotonic() < deadline, isVfork(failure) else { throw failure }
                attempt += 1
                Clock.sleep(microseconds: 500 * min(attempt, 40))
            } catch {
                thaw()
                throw error
            }
        }
    }

    private var vforkSeen = false
    private func isVfork(_ failure: Failure) -> Bool { vforkSeen }

    /// Everything runs on. Idempotent.
    public func thaw() {
        let tracees = order.reversed().flatMap { members[$0]!.values }.filter { $0.end == nil }
        // Those that go back into a call first: others may wake or signal them.
        for tracee in tracees.filter(\.returnsToCall) + tracees.filter({ !$0.returnsToCall }) {
            if !tracee.isStopped { _ = settle(tracee, 20_000_000) }
            if tracee.isStopped { try? tracee.detach() } else { lingering[tracee.tid] = tracee }
        }
        members = [:]
        order = []
        zombies = []
    }

    /// SIGKILLs every frozen process and reaps what is traced.
    ///
    /// A process's first thread comes last: its end is not reported before all the others have been
    /// waited for (kernel/exit.c, delay_group_leader). Ids say nothing of that order, they wrap.
    public func kill() {
        for pid in order.reversed() { _ = Kernel.raw(.kill, Int(pid), Int(SIGKILL)) }
        for pid in order {
            let threads = members[pid]!.values.filter { $0.end == nil }
            for tracee in threads.filter({ $0.tid != pid }) + threads.filter({ $0.tid == pid }) {
                while let status = tracee.wait(), !status.isEnd { try? tracee.continueRunning() }
                if tracee.tid == pid, let end = tracee.end { ended[pid] = end }
            }
        }
        members = [:]
        order = []
    }

    private func stopped(_ pid: pid_t) throws -> StoppedProcess? {
        let threads = members[pid]!.values.filter { $0.end == nil }
            .sorted { ($0.tid == pid ? 0 : 1, $0.tid) < ($1.tid == pid ? 0 : 1, $1.tid) }
        return threads.isEmpty ? nil : try StoppedProcess(pid: pid, threads: threads)
    }

    /// Returns after two passes that found nothing new: a process may have moved below another parent
    /// while the lists of children were read, one whose parent ended, and lists that change while
    /// they are read lack entries (proc_pid_task_children(5)).
    private func stopAll(deadline: Int64) throws {
        vforkSeen = false
        var quietPasses = 0
        while quietPasses < 2 {
            changes = 0
            var fresh: [Tracee] = []
            var queue = roots()
            var seen = Set(queue)
            var next = 0
            while next < queue.count {
                let pid = queue[next]
                next += 1
                fresh += try seizeThreads(of: pid)
                for child in ProcFS.children(of: pid) where seen.insert(child).inserted {
                    queue.append(child)
                }
            }
            for tracee in fresh { try awaitStop(tracee, deadline: deadline) }
            quietPasses = fresh.isEmpty && changes == 0 ? quietPasses + 1 : 0
        }
        noteZombies()
    }

    /// Ends that a pass came upon.
    private var changes = 0

    /// Processes that ended while they were being stopped: what their parents will wait for.
    private func noteZombies() {
        for pid in order where members[pid]!.values.allSatisfy({ $0.end != nil }) && isZombie(pid, pid) {
            zombies.insert(pid)
        }
    }

    private func seizeThreads(of pid: pid_t) throws -> [Tracee] {
        guard let tids = try? ProcFS.numbers(in: "/proc/\(pid)/task") else {
            changes += 1
            return []
        }
        if members[pid] == nil {
            members[pid] = [:]
            order.append(pid)
        }
        var fresh: [Tracee] = []
        for tid in tids where members[pid]![tid] == nil {
            let known = lingering.removeValue(forKey: tid)
            let tracee = known ?? Tracee(tid: tid)
            do {
                if known == nil { try tracee.seize([.markSystemCalls]) }
                try tracee.interrupt()
            } catch RemoteError.vanished {
                changes += 1
                continue
            } catch RemoteError.kernel(let error) {
                if isZombie(pid, tid) {
                    if tid == pid, zombies.insert(pid).inserted { changes += 1 }
                    continue
                }
                throw Failure.refused(pid: pid, error)
            }
            members[pid]![tid] = tracee
            fresh.append(tracee)
        }
        return fresh
    }

    private func isZombie(_ pid: pid_t, _ tid: pid_t) -> Bool {
        guard let status = try? ProcessStatus("/proc/\(pid)/task/\(tid)") else { return true }
        return status.state == UInt8(ascii: "Z") || status.state == UInt8(ascii: "X")
    }

    private func awaitStop(_ tracee: Tracee, deadline: Int64) throws {
        let patience: Int64 = 30_000_000
        while !tracee.isStopped, !settle(tracee, patience) {
            let pid = members.first { $0.value[tracee.tid] != nil }?.key ?? tracee.tid
            // A first thread's end is not reported before those of the others have been waited for.
            for other in members[pid]?.values ?? [:].values where other !== tracee && other.end == nil {
                _ = settle(other, 0)
            }
            if isWaitingForVfork(pid, tracee.tid) {
                vforkSeen = true
                throw Failure.stuck(
                    pid: pid, tid: tracee.tid, why: "it waits in vfork for a child that does not exec")
            }
            guard Clock.monotonic() < deadline else {
                let call = (try? ProcFS.text("/proc/\(pid)/task/\(tracee.tid)/wchan")) ?? "?"
                throw Failure.stuck(
                    pid: pid, tid: tracee.tid, why: "uninterruptible in the kernel (\(call))")
            }
        }
        if let end = tracee.end {
            let owner = members.first { $0.value[tracee.tid] != nil }?.key
            if owner == tracee.tid { ended[tracee.tid] = end }
        }
    }

    /// A vforked child shares its parent's memory without being its thread.
    private func isWaitingForVfork(_ pid: pid_t, _ tid: pid_t) -> Bool {
        let compareMemory = 1  // KCMP_VM
        for child in ProcFS.children(of: pid)
        where Kernel.raw(.kcmp, Int(pid), Int(child), compareMemory) == 0 { return true }
        return false
    }

    /// Brings a seized thread to its stop: true when stopped or ended, false after `patience` ns.
    private func settle(_ tracee: Tracee, _ patience: Int64) -> Bool {
        let limit = Clock.monotonic() + patience
        var spins = 0
        while true {
            switch tracee.poll() {
            case .interrupted(let signal)?:
                if signal != SIGTRAP { tracee.groupStop = signal }
                return true
            case .exited?, .killed?: return true
            case .signal(let signal)?: try? tracee.continueRunning(delivering: signal)
            case .event?, .systemCall?: try? tracee.continueRunning()
            case nil:
                if tracee.end != nil { return true }
                spins += 1
                if spins > 200 { Clock.sleep(microseconds: 50) } else { sched_yield() }
                if Clock.monotonic() > limit { return false }
            }
        }
    }
}
