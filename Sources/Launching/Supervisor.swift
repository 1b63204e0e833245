// SPDX-License-Identifier: Apache-2.0
import AgentService
import CLinux
import CheckpointImage
import CoordinatorService
import Glibc
import ImageStore
import LinuxSystem
import ProcessSnapshot
import Synchronization

/// What `run` and `restart` do while the job lives: pass terminal and signals through, reap
/// orphans, answer control requests, make checkpoints by themselves.
///
/// The main thread owns the loop and is the parent of the job's processes; each control
/// connection, and each checkpoint, has a thread of its own (ptrace belongs to a thread).
public final class Supervisor {
    public struct Configuration: Sendable {
        public var claim: JobClaim
        public var command: [String]
        public var store: Store
        public var options: CaptureOptions
        /// Seconds between checkpoints that are made without being asked for; 0: none.
        public var intervalSeconds: Double
        /// Committed epochs that are kept; 0: all.
        public var keep: Int
        /// The job starts with the interposer.
        public var hasVerbs: Bool

        public init(
            claim: JobClaim, command: [String], store: Store, options: CaptureOptions,
            intervalSeconds: Double, keep: Int, hasVerbs: Bool = false
        ) {
            self.hasVerbs = hasVerbs
            self.claim = claim
            self.command = command
            self.store = store
            self.options = options
            self.intervalSeconds = intervalSeconds
            self.keep = keep
        }

        var job: String { claim.job }
        var runtime: RuntimeFolder { claim.runtime }
    }

    private let configuration: Configuration
    private let source: JobSource
    private let terminal: TerminalRelay?
    private let service: CheckpointService
    private let door: Descriptor
    private let signals: Descriptor
    private let verbs: VerbsDoor?
    private var connections: [Parallel.Task<Void>] = []
    private var rootStatus: Int32?
    private var nextCheckpoint: Int64 = .max
    /// When to look for ended processes without having been told.
    private var reapAt: Int64 = 0

    /// Signals that are passed on to the job.
    private static let forwarded: [Int32] = [
        SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGCONT, SIGTSTP,
    ]

    /// Call on the main thread, before the job's command runs.
    public init(
        _ configuration: Configuration, source: JobSource, inherited: InheritedDescriptors,
        terminal: TerminalRelay?, signals: Descriptor
    ) throws {
        self.configuration = configuration
        self.source = source
        self.terminal = terminal
        self.signals = signals
        var inherited = inherited
        inherited.terminal = terminal?.index
        service = try CheckpointService(configuration, source: source, inherited: inherited)
        verbs = try Self.verbsDoor(configuration, source)
        door = try ControlChannel.listen(configuration.runtime.socket(configuration.job))
        try service.record.write(to: configuration.runtime)
        schedule()
    }

    /// A restored job knocks where its original did.
    private static func verbsDoor(_ configuration: Configuration, _ source: JobSource) throws -> VerbsDoor? {
        if case .pod(_, let door) = source { return door }
        guard configuration.hasVerbs else { return nil }
        return try VerbsDoor(
            path: configuration.runtime.verbs(configuration.job), view: source.view(OwnProcesses()))
    }

    /// Blocks the signals that the loop handles and gives the descriptor they arrive at. Call
    /// first, before any thread exists; threads inherit the mask.
    public static func blockSignals() throws -> Descriptor {
        var mask: UInt64 = 0
        for signal in forwarded + [SIGCHLD, SIGWINCH] { mask |= 1 << UInt64(signal - 1) }
        signal(SIGPIPE, SIG_IGN)
        signal(SIGTTOU, SIG_IGN)
        signal(SIGTTIN, SIG_IGN)
        let fd = withUnsafeMutablePointer(to: &mask) { mask -> Int in
            _ = Kernel.raw(.rtSigprocmask, 0, Int(bitPattern: mask), 0, 8)
            return Kernel.raw(.signalfd4, -1, Int(bitPattern: mask), 8, Int(O_CLOEXEC | O_NONBLOCK))
        }
        return Descriptor(owning: Int32(try Kernel.check(fd, "signalfd")))
    }

    private func schedule() {
        guard configuration.intervalSeconds > 0 else { return }
        nextCheckpoint = Clock.monotonic() + Int64(configuration.intervalSeconds * 1e9)
    }

    /// Until the command's process ends: its exit status, 128 + signal if it was killed.
    public func run() -> Int32 {
        terminal?.start()
        while rootStatus == nil { turn() }
        for connection in connections { try? connection.join() }
        // What the command left running needs its memory before this process, which serves it, goes.
        if case .pod(let job, _) = source { job.pager?.wait() }
        terminal?.stop()
        service.record.remove(from: configuration.runtime)
        configuration.claim.release()
        let status = rootStatus!
        return fermata_wifexited(status) != 0
            ? fermata_wexitstatus(status) : 128 + fermata_wtermsig(status)
    }

    private func turn() {
        var watched = [
            pollfd(fd: signals.number, events: Int16(POLLIN), revents: 0),
            pollfd(fd: door.number, events: Int16(POLLIN), revents: 0),
            pollfd(fd: service.wake.number, events: Int16(POLLIN), revents: 0),
        ]
        // poll(2) passes over negative descriptors.
        watched.append(pollfd(fd: verbs?.listener.number ?? -1, events: Int16(POLLIN), revents: 0))
        if case .pod(let job, _) = source {
            watched.append(pollfd(fd: job.channel.number, events: Int16(POLLIN), revents: 0))
        }
        let own = watched.count
        watched += terminal?.interests ?? []
        poll(&watched, nfds_t(watched.count), timeout())
        if watched[0].revents != 0 { takeSignals() }
        if watched[1].revents != 0 { acceptConnection() }
        if watched[2].revents != 0 { takeEnds() }
        if watched[3].revents != 0 { verbs?.answer() }
        if own > 4, watched[4].revents != 0 { takeReports() }
        terminal?.handle(Array(watched[own...]))
        if Clock.monotonic() >= reapAt { reap() }
        if Clock.monotonic() >= nextCheckpoint { automaticCheckpoint() }
        connections.removeAll { $0.isFinished }
    }

    private func timeout() -> Int32 {
        let next = min(nextCheckpoint, reapAt)
        return Int32(clamping: max(0, (next - Clock.monotonic()) / 1_000_000 + 1))
    }

    // MARK: ends of processes

    private func takeSignals() {
        var info = [UInt8](repeating: 0, count: 128)
        while read(signals.number, &info, 128) == 128 {
            let number = Int32(value(UInt32.self, from: info))
            let code = value(Int32.self, from: info, at: 8)
            switch number {
            // A checkpoint's tracees report hundreds of stops with the same signal (CLD_TRAPPED in
            // waitid(2)), and an end may hide behind one of them: looked for when they are over.
            case SIGCHLD where code == 4: reapAt = min(reapAt, Clock.monotonic() + 20_000_000)
            case SIGCHLD: reap()
            case SIGWINCH: terminal?.copyWindowSize()
            default: forward(number, fromTerminal: code > 0)
            }
        }
    }

    /// A terminal signals the whole foreground group, kill(1) one process: the job is signalled
    /// the same way.
    private func forward(_ signal: Int32, fromTerminal: Bool) {
        let root = source.root
        guard root > 0 else { return }
        if fromTerminal, let group = try? ProcessStatistics(pid: root).group, group > 0 {
            _ = Kernel.raw(.kill, -Int(group), Int(signal))
        } else {
            _ = Kernel.raw(.kill, Int(root), Int(signal))
        }
    }

    /// Zombies that nobody traces, one by one. A wait for any child would take the ptrace stops of
    /// those that a checkpoint's thread has seized: for a tracee of its own process group's the
    /// kernel does not tell the two waits apart (kernel/exit.c, wait_consider_task).
    private func reap() {
        reapAt = Clock.monotonic() + 1_000_000_000
        var status: Int32 = 0
        for pid in ProcFS.children(of: getpid()) {
            guard let state = try? ProcessStatus("/proc/\(pid)"), state.state == UInt8(ascii: "Z"),
                state.tracer == 0, waitpid(pid, &status, Int32(WNOHANG)) == pid
            else { continue }
            switch source {
            case .native(let root, _) where pid == root: rootStatus = status
            case .pod(let job, _) where pid == job.podPid:
                takeReports()
                rootStatus = rootStatus ?? status
            default: break
            }
        }
    }

    /// Ends that a checkpoint's thread saw before this one could.
    private func takeEnds() {
        var count: UInt64 = 0
        read(service.wake.number, &count, 8)
        for (pid, status) in service.takeEnds() where pid == source.root {
            if case .native = source { rootStatus = rootStatus ?? status }
        }
        reap()
    }

    private func takeReports() {
        guard case .pod(let job, _) = source else { return }
        var report = fermata_pod_report()
        while recv(job.channel.number, &report, MemoryLayout<fermata_pod_report>.size, 0x40)
            == MemoryLayout<fermata_pod_report>.size
        {
            if report.kind == Int32(FERMATA_POD_EXITED), report.pid == job.rootPid {
                rootStatus = report.status
            }
        }
    }

    // MARK: control

    private func acceptConnection() {
        let fd = accept(door.number, nil, nil)
        guard fd >= 0 else { return }
        _ = fcntl(fd, F_SETFD, FD_CLOEXEC)
        let channel = ControlChannel(Descriptor(owning: fd))
        let service = service
        connections.append(Parallel.Task { service.serve(channel) })
    }

    private func automaticCheckpoint() {
        schedule()
        let service = service
        connections.append(Parallel.Task { service.automatic() })
    }
}
