// SPDX-License-Identifier: Apache-2.0
import Glibc
import Synchronization

/// Processes below the job's reaper that are Fermata's own: frozen copies, guards. Any thread.
public final class OwnProcesses: Sendable {
    private let pids = Mutex<Set<pid_t>>([])

    public init() {}

    public var all: Set<pid_t> { pids.withLock { $0 } }
    func insert(_ pid: pid_t) { _ = pids.withLock { $0.insert(pid) } }
    func remove(_ pid: pid_t) { _ = pids.withLock { $0.remove(pid) } }
}
