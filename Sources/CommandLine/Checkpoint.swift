// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import CheckpointImage
import CoordinatorService
import Glibc
import ImageStore
import Launching
import LinuxSystem
import ProcessSnapshot

struct Checkpoint: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make one consistent image of a running job.",
        discussion: """
            Returns when every byte is durable and the checkpoint exists. If anything fails the job \
            runs on and earlier checkpoints stand. Exit status: 69 no such job, 73 cannot create, \
            74 I/O error, 75 try again later, 77 something cannot be checkpointed.
            """)

    @Argument(help: "Name of the job; see fermata status.")
    var job: String

    @Option(help: "fork: the job goes on while memory is written; stop: it stands still.")
    var mode: CaptureOptions.Mode?

    @Flag(help: "End the job when the checkpoint is committed; it does not run past the cut.")
    var kill = false

    @OptionGroup var json: JSONFlag

    func run() throws {
        let client = try JobClient(job)
        let request = ControlRequest.with {
            $0.checkpoint = .with {
                $0.mode = mode?.rawValue ?? ""; $0.kill = kill
            }
        }
        let started = Clock.monotonic()
        let reply = try client.ask(request) { progress in
            Terminal.progress(ProgressLine.text(progress, since: started))
        }
        Terminal.clearProgress()
        guard case .checkpoint(let result)? = reply.kind else {
            throw CommandFailure(code: CommandFailure.software, text: "unexpected reply")
        }
        if json.json { return try printJSON(CheckpointReport(job: job, result)) }
        Terminal.print(CheckpointReport(job: job, result).text)
        if kill { Terminal.print("The job has ended. Continue it with: \(Self.restart(job, result))") }
    }

    /// The command that starts it again, whatever store the job was started with.
    private static func restart(_ job: String, _ result: ControlCheckpointResult) -> String {
        let usual = Store.locate(nil, environment: Shared.environment)
        let isUsual = usual.folder(job, result.epoch) == result.folder
        let root = result.folder.dropLast("/\(job)/\(result.epoch)".count)
        return "fermata restart \(job)" + (isUsual ? "" : " --store \(root)")
    }
}

/// "persist  1.2 GiB of 4.0 GiB  1.5 GiB/s  2 s left"
enum ProgressLine {
    static func text(_ progress: ControlProgress, since start: Int64) -> String {
        guard progress.totalBytes > 0, progress.doneBytes > 0 else { return progress.phase }
        let elapsed = UInt64(max(1, Clock.monotonic() - start))
        let rest =
            progress.totalBytes > progress.doneBytes ? progress.totalBytes - progress.doneBytes : 0
        let left = Double(rest) / Double(progress.doneBytes) * Double(elapsed)
        return
            "\(progress.phase)  \(Terminal.bytes(progress.doneBytes)) of \(Terminal.bytes(progress.totalBytes))"
            + "  \(Terminal.rate(progress.doneBytes, elapsed))  \(Terminal.duration(UInt64(left))) left"
    }
}

/// How a checkpoint went, for people and as JSON.
struct CheckpointReport: Encodable {
    struct Stage: Encodable { let name: String; let seconds: Double }
    let job: String
    let epoch: UInt64
    let folder: String
    let mode: String
    let processes: UInt32
    let threads: UInt32
    let stallSeconds: Double
    let durableSeconds: Double
    let storedBytes: UInt64
    let zeroPagesSkipped: UInt64
    let filePagesSkipped: UInt64
    let stages: [Stage]

    init(job: String, _ r: ControlCheckpointResult) {
        self.job = job
        epoch = r.epoch
        folder = r.folder
        mode = r.mode
        processes = r.processes
        threads = r.threads
        stallSeconds = Double(r.stallNs) / 1e9
        durableSeconds = Double(r.durableNs) / 1e9
        storedBytes = r.storedBytes
        zeroPagesSkipped = r.zeroPages
        filePagesSkipped = r.filePages
        stages = r.stages.map { Stage(name: $0.name, seconds: Double($0.ns) / 1e9) }
    }

    var text: String {
        let durable = UInt64(durableSeconds * 1e9)
        return """
            checkpoint \(job)@\(epoch): \(Terminal.count(processes, "process", "processes")), \
            \(Terminal.count(threads, "thread", "threads")), \
            \(Terminal.bytes(storedBytes))
              stall    \(Terminal.duration(UInt64(stallSeconds * 1e9)))  (the job stood still; mode \(mode))
              durable  \(Terminal.duration(durable))  (\(Terminal.rate(storedBytes, durable)), fsync included)
              skipped  \(zeroPagesSkipped) zero pages, \(filePagesSkipped) pages equal to their file
              stages   \(stages.map { "\($0.name) \(Terminal.duration(UInt64($0.seconds * 1e9)))" }.joined(separator: ", "))
              image    \(folder)
            """
    }
}

/// The control connection to a job's coordinator.
struct JobClient {
    private let channel: ControlChannel
    let record: JobRecord?

    init(_ job: String) throws {
        let runtime = RuntimeFolder.locate(Shared.environment)
        record = JobRecord.read(job, in: runtime)
        do { channel = try ControlChannel.connect(runtime.socket(job)) } catch {
            throw CommandFailure(
                code: CommandFailure.unreachable, text: Self.explain(job, record, runtime))
        }
    }

    private static func explain(_ job: String, _ record: JobRecord?, _ runtime: RuntimeFolder) -> String
    {
        guard let record else {
            let known = runtime.jobs()
            return "no running job named \(job) (in \(runtime.path))"
                + (known.isEmpty ? "" : "; running: " + known.joined(separator: ", "))
        }
        let strays = record.strays().count
        return "the coordinator of \(job) (process \(record.coordinatorPid)) has gone"
            + (strays > 0
                ? "; \(strays) processes of the job run on without it. End them with: fermata kill \(job)"
                : "")
    }

    /// Sends a request; the final reply. Errors of the coordinator's become `CommandFailure`.
    func ask(
        _ request: ControlRequest, progress: (ControlProgress) -> Void = { _ in }
    ) throws -> ControlReply {
        do {
            try channel.send(request)
            while let reply = try channel.receive(ControlReply.self) {
                switch reply.kind {
                case .progress(let p)?: progress(p)
                case .error(let error)?: throw CommandFailure(code: error.code, text: error.text)
                default: return reply
                }
            }
        } catch let error as SystemError {
            throw CommandFailure(code: CommandFailure.unreachable, text: "\(error)")
        }
        throw CommandFailure(
            code: CommandFailure.unreachable,
            text:
                "the coordinator ended before it answered; the last committed checkpoint stands (fermata list)"
        )
    }
}
