// SPDX-License-Identifier: Apache-2.0
import AgentService
import ArgumentParser
import CheckpointImage
import CoordinatorService
import Glibc
import ImageStore
import Launching
import LinuxSystem
import ProcessSnapshot

struct Restart: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Start a job again from a checkpoint.",
        discussion: """
            Runs in the foreground like `fermata run`: what the job prints after the cut, its \
            signals and its exit status pass through. Process ids are those it had. Memory comes in \
            on demand while the job already runs.
            """)

    @Argument(help: "JOB, or JOB@EPOCH for another than the last checkpoint.")
    var checkpoint: String

    @OptionGroup var store: StoreOption

    @Flag(help: "Read all memory before the job goes on.")
    var preload = false

    @OptionGroup var policy: CheckpointPolicy

    @Flag(name: [.short, .long], help: "Say on standard error how the restart went.")
    var verbose = false

    func run() throws {
        let begin = Clock.monotonic()
        try becomeCapable()
        let store = store.value
        let (claim, reader, signals): (JobClaim, ImageReader, Descriptor)
        do {
            let (name, epoch) = try store.resolve(checkpoint)
            claim = try JobName.claim(name)
            reader = try ImageReader(store: store, job: name, epoch: epoch)
            signals = try Supervisor.blockSignals()
        } catch { throw failure(error) }
        let (restored, door, stages) = try restore(reader)
        let supervisor: Supervisor
        do {
            supervisor = try Supervisor(
                .init(
                    claim: claim, command: reader.manifest.command, store: store, options: policy.options,
                    intervalSeconds: try policy.seconds(), keep: policy.keep),
                source: .pod(restored, door), inherited: Shared.inherited, terminal: try relay(restored),
                signals: signals)
        } catch {
            restored.end()
            throw Self.aborted(error)
        }
        if verbose { report(restored, stages, begin) }
        throw ExitCode(supervisor.run())
    }

    /// An ordinary user has the right to make namespaces only inside a user namespace.
    private func becomeCapable() throws {
        guard geteuid() != 0 else { return }
        do { try UserNamespace.enter() } catch {
            throw CommandFailure(
                code: 77,
                text: "restart needs namespaces, and this user may not make them: \(error). "
                    + "What to do: restart as root, or see user_namespaces(7)")
        }
    }

    private typealias Restored = (job: RestoredJob, door: VerbsDoor?, stages: [(String, Int64)])

    /// On a thread of its own, which enters the job's time namespace.
    private func restore(_ reader: ImageReader) throws -> Restored {
        let slots = Set(Shared.inherited.slots)
        let options = RestoreOptions(preload: preload) { slots.contains($0) ? $0 : nil }
        do {
            return try Parallel.Task { () throws -> Restored in
                let restore = try JobRestore(reader: reader, options: options)
                try restore.check()
                // Before it runs: a process may be about to knock.
                var door: VerbsDoor?
                let job = try restore.run { error in
                    Terminal.error("the job was ended, its memory cannot be read: \(error)")
                } ready: { door = try VerbsDoor(restored: $0) }
                return (job, door, restore.stages)
            }.join()
        } catch { throw Self.aborted(error) }
    }

    private static func aborted(_ error: any Error) -> CommandFailure {
        if let error = error as? RestoreError {
            return CommandFailure(code: CommandFailure.cannotCreate, text: error.description)
        }
        let known = failure(error)
        return CommandFailure(code: known.code, text: "restart failed, nothing of it is left: \(known.text)")
    }

    private func relay(_ job: RestoredJob) throws -> TerminalRelay? {
        guard let master = job.terminal else { return nil }
        var index: UInt32 = 0
        try master.control(0x8004_5430, &index)  // TIOCGPTN
        let relay = try TerminalRelay(
            master: master, index: index, slavePath: "/proc/\(job.podPid)/root/dev/pts/\(index)")
        relay.copyWindowSize()
        return relay
    }

    private func report(_ job: RestoredJob, _ stages: [(String, Int64)], _ begin: Int64) {
        let parts = stages.map { "\($0.0) \(Terminal.duration(UInt64($0.1)))" }.joined(separator: ", ")
        Terminal.note("running after \(Terminal.duration(UInt64(Clock.monotonic() - begin))) (\(parts))")
        guard let pager = job.pager else { return }
        Terminal.note("\(Terminal.bytes(pager.totalBytes)) of memory come in on demand")
    }
}
