// SPDX-License-Identifier: Apache-2.0
import AgentService
import CheckpointImage
import CoordinatorService
import Coordination
import Glibc
import ImageStore
import LinuxSystem
import ProcessSnapshot
import Synchronization

/// Answers control requests of one job. Used by several threads; one checkpoint at a time.
final class CheckpointService: @unchecked Sendable {
    private let configuration: Supervisor.Configuration
    private let source: JobSource
    private let own = OwnProcesses()
    private let node: NodeAgent
    private let coordinator: LocalCoordinator
    private let isBusy = Mutex(false)
    private let started = Clock.realtime()
    let record: JobRecord
    /// Readable when `takeEnds` has something.
    let wake: Descriptor

    init(
        _ configuration: Supervisor.Configuration, source: JobSource,
        inherited: InheritedDescriptors
    ) throws {
        self.configuration = configuration
        self.source = source
        wake = Descriptor(
            owning: Int32(
                try Kernel.call(
                    .eventfd2, 0, Int(O_NONBLOCK | O_CLOEXEC), what: "eventfd")))
        record = try JobRecord(
            job: configuration.job, coordinator: getpid(), store: configuration.store.root,
            command: configuration.command, source: source)
        let (ends, wake, root) = (EndsBox(), wake, source.root)
        endsBox = ends
        let settings = NodeAgent.Settings(
            view: source.view(own), inherited: inherited, store: configuration.store,
            job: configuration.job, rootPid: { root },
            manifest: .with {
                $0.command = configuration.command
                $0.toolVersion = fermataVersion
                $0.workingDirectory = String(cString: getcwd(nil, 0))
            },
            ended: { pid, status in
                ends.value.withLock { $0[pid] = status }
                var one: UInt64 = 1
                _ = write(wake.number, &one, 8)
            },
            ownProcesses: own)
        node = NodeAgent(settings)
        let entered = PhaseBox()
        phaseBox = entered
        coordinator = LocalCoordinator(node: node) { phase in entered.value.withLock { $0 = phase } }
    }

    private final class EndsBox: Sendable { let value = Mutex<[pid_t: Int32]>([:]) }
    private final class PhaseBox: Sendable { let value = Mutex<Phase?>(nil) }
    private let endsBox: EndsBox
    private let phaseBox: PhaseBox

    func takeEnds() -> [pid_t: Int32] {
        endsBox.value.withLock { ends in
            defer { ends = [:] }
            return ends
        }
    }

    // MARK: requests

    /// Who connects asks at once. Who does not is let go: the coordinator waits for its clients
    /// before it ends.
    func serve(_ channel: ControlChannel) {
        try? channel.limitWaiting(seconds: 10)
        guard channel.isTrusted(), let request = try? channel.receive(ControlRequest.self) else {
            return
        }
        var reply = ControlReply()
        switch request.kind {
        case .checkpoint(let wanted)?:
            reply = isOfJob(channel) ? Self.fromInside : checkpoint(wanted, channel)
        case .status(let wanted)?: reply.status = status(withVerbs: wanted.verbs)
        case .kill(let wanted)?:
            kill(wanted.signal == 0 ? SIGKILL : wanted.signal)
            reply.status = status()
        case nil:
            reply.error = .with {
                $0.code = 64; $0.text = "unknown request"
            }
        }
        try? channel.send(reply)
    }

    /// Whoever waits for the answer would be part of the image, and its connection with it.
    private func isOfJob(_ channel: ControlChannel) -> Bool {
        channel.peer.map { source.view(own).processes().contains($0) } ?? false
    }

    private static let fromInside = ControlReply.with {
        $0.error = .with {
            $0.code = 77
            $0.text =
                "a process of the job cannot ask for its checkpoint, because it would be part of it. "
                + "What to do: ask from outside of the job, or start it with --interval"
        }
    }

    func automatic() { _ = checkpoint(ControlCheckpoint(), nil) }

    private func checkpoint(_ wanted: ControlCheckpoint, _ channel: ControlChannel?) -> ControlReply {
        var options = configuration.options
        if !wanted.mode.isEmpty {
            guard let mode = CaptureOptions.Mode(rawValue: wanted.mode) else {
                return .with {
                    $0.error = .with {
                        $0.code = 64; $0.text = "no mode \(wanted.mode)"
                    }
                }
            }
            options.mode = mode
        }
        let free = isBusy.withLock { busy in
            defer { busy = true }
            return !busy
        }
        guard free else {
            return .with {
                $0.error = .with {
                    $0.code = 75; $0.text = "another checkpoint of this job is being written"
                }
            }
        }
        defer {
            isBusy.withLock { $0 = false }
            var one: UInt64 = 1  // what ended while it was traced can be reaped now
            _ = write(wake.number, &one, 8)
        }
        if case .pod(let job, _) = source, let pager = job.pager, !pager.isFinished { pager.wait() }
        let reporter = channel.map { ProgressReporter($0) { [self] in progress() } }
        defer { reporter?.stop() }
        let result = persistently { [self, options] in
            coordinator.checkpoint(
                free: configuration.store.nextEpoch(configuration.job), options: options,
                kill: wanted.kill)
        }
        if result.isCommitted, configuration.keep > 0 {
            configuration.store.retain(configuration.job, count: configuration.keep)
        }
        reporter?.stop()
        return reply(result, options)
    }

    /// What stands in the way for a moment only (exit status 75: data in an accept queue, a vfork)
    /// is mostly gone a few milliseconds later: tries again for two seconds.
    private func persistently(
        _ attempt: () -> LocalCoordinator.Result
    ) -> LocalCoordinator.Result {
        let deadline = Clock.monotonic() + 2_000_000_000
        var pause: UInt32 = 10_000
        while true {
            let result = attempt()
            guard !result.isCommitted, result.failure?.code == 75, Clock.monotonic() < deadline else {
                return result
            }
            Clock.sleep(microseconds: pause)
            pause = min(pause * 2, 200_000)
        }
    }

    private func progress() -> ControlProgress {
        let (done, total) = node.progress
        return .with {
            $0.phase = phaseBox.value.withLock { $0 }?.rawValue ?? ""
            $0.doneBytes = done
            $0.totalBytes = total
        }
    }

    private func reply(_ result: LocalCoordinator.Result, _ options: CaptureOptions) -> ControlReply {
        guard result.isCommitted else {
            return .with {
                $0.error = .with {
                    $0.code = result.failure?.code ?? 70
                    $0.text = result.failure?.reason ?? "the checkpoint failed"
                }
            }
        }
        return .with {
            $0.checkpoint = .with {
                $0.epoch = result.epoch
                $0.folder = configuration.store.folder(configuration.job, result.epoch)
                $0.stallNs = result.timings.stallNs
                $0.durableNs = result.timings.durableNs
                $0.storedBytes = result.timings.storedBytes
                $0.zeroPages = result.timings.zeroPages
                $0.filePages = result.timings.filePages
                $0.processes = result.timings.processes
                $0.threads = result.timings.threads
                $0.mode = options.mode.rawValue
                $0.stages = result.stages.map { s in
                    .with {
                        $0.name = s.name; $0.ns = UInt64(s.nanoseconds)
                    }
                }
            }
        }
    }

    private func status(withVerbs: Bool = false) -> ControlJobStatus {
        let view = source.view(own)
        let phase = isBusy.withLock { $0 } ? phaseBox.value.withLock { $0 } : nil
        return .with {
            $0.job = configuration.job
            $0.state = phase.map { "checkpoint: \($0.rawValue)" } ?? "running"
            $0.coordinatorPid = getpid()
            $0.epoch = configuration.store.epochs(configuration.job).last ?? 0
            $0.command = configuration.command.joined(separator: " ")
            $0.store = configuration.store.root
            $0.startedNs = UInt64(started)
            if case .pod(let job, _) = source, let pager = job.pager {
                $0.residentBytes = pager.residentBytes
                $0.totalBytes = pager.totalBytes
            }
            $0.processes = view.processes().compactMap(Self.describe)
            let living = Set($0.processes.filter { $0.state != "Z" }.map(\.pid))
            if withVerbs, let verbs = try? VerbsSegment.mapped(in: view)?.status(of: living) {
                $0.verbs = verbs
            }
        }
    }

    private static func describe(_ pid: pid_t) -> ControlProcessStatus? {
        guard let status = try? ProcessStatus("/proc/\(pid)") else { return nil }
        return .with {
            $0.pid = status.namespacePids.last ?? pid
            $0.hostPid = pid
            $0.command = JobView.command(pid)
            $0.state = String(decoding: [status.state], as: UTF8.self)
            $0.residentBytes = status.residentKiB * 1024
        }
    }

    /// Ends the whole job. SIGKILL repeats until nothing is left.
    private func kill(_ signal: Int32) {
        if case .pod(let job, _) = source, signal == SIGKILL {
            _ = Kernel.raw(.kill, Int(job.podPid), Int(SIGKILL))
            return
        }
        let view = source.view(own)
        for _ in 0..<(signal == SIGKILL ? 100 : 1) {
            let living = view.processes().filter {
                (try? ProcessStatus("/proc/\($0)").state) != UInt8(ascii: "Z")
            }
            if living.isEmpty { return }
            for pid in living { _ = Kernel.raw(.kill, Int(pid), Int(signal)) }
            Clock.sleep(microseconds: 2000)
        }
    }
}

/// Sends progress messages while a checkpoint runs.
private final class ProgressReporter: Sendable {
    private let ended = Mutex(false)
    private let task: Parallel.Task<Void>

    init(_ channel: ControlChannel, _ current: @escaping @Sendable () -> ControlProgress) {
        let flag = Flag()
        self.flag = flag
        task = Parallel.Task {
            var waited = 0
            while !flag.value.withLock({ $0 }) {
                Clock.sleep(microseconds: 20_000)
                waited += 1
                guard waited % 10 == 0 else { continue }
                try? channel.send(ControlReply.with { $0.progress = current() })
            }
        }
    }

    private final class Flag: Sendable { let value = Mutex(false) }
    private let flag: Flag

    /// Returns when nothing more will be sent. Idempotent.
    func stop() {
        let first = ended.withLock { ended in
            defer { ended = true }
            return !ended
        }
        guard first else { return }
        flag.value.withLock { $0 = true }
        try? task.join()
    }
}
