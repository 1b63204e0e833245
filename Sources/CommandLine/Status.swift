// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import CheckpointImage
import CoordinatorService
import Glibc
import ImageStore
import Launching
import LinuxSystem

struct Status: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Show running jobs and their processes.")

    @Argument(help: "Only this job.")
    var job: String?

    @Flag(help: "Also adapters and queue pairs: state, peer, how many requests.")
    var verbs = false

    @OptionGroup var json: JSONFlag

    private struct Report: Encodable { let jobs: [Job] }
    private struct Job: Encodable {
        let job: String
        let state: String
        let coordinatorPid: Int32
        let epoch: UInt64
        let command: String
        let store: String
        let residentBytes: UInt64
        let totalBytes: UInt64
        let processes: [Process]
        /// nil: not asked for, or no process uses verbs.
        var verbs: VerbsReport?
    }
    private struct Process: Encodable {
        let pid: Int32
        let hostPid: Int32
        let command: String
        let state: String
        let residentBytes: UInt64
    }

    func run() throws {
        let runtime = RuntimeFolder.locate(Shared.environment)
        let names = job.map { [$0] } ?? runtime.jobs()
        var jobs: [Job] = []
        for name in names {
            do { jobs.append(Self.convert(try ask(name))) } catch {
                guard let record = JobRecord.read(name, in: runtime) else {
                    if job != nil { throw error }
                    continue
                }
                jobs.append(Self.orphaned(record))
            }
        }
        if json.json { return try printJSON(Report(jobs: jobs)) }
        if jobs.isEmpty {
            return Terminal.print("No running jobs. Start one with: fermata run -- COMMAND…")
        }
        for job in jobs { show(job) }
    }

    private func ask(_ name: String) throws -> ControlJobStatus {
        let reply = try JobClient(name).ask(.with { $0.status = .with { $0.verbs = verbs } })
        guard case .status(let status)? = reply.kind else {
            throw CommandFailure(code: CommandFailure.software, text: "unexpected reply")
        }
        return status
    }

    private static func convert(_ s: ControlJobStatus) -> Job {
        Job(
            job: s.job, state: s.state, coordinatorPid: s.coordinatorPid, epoch: s.epoch,
            command: s.command, store: s.store, residentBytes: s.residentBytes, totalBytes: s.totalBytes,
            processes: s.processes.map {
                Process(
                    pid: $0.pid, hostPid: $0.hostPid, command: $0.command, state: $0.state,
                    residentBytes: $0.residentBytes)
            },
            verbs: s.hasVerbs ? VerbsReport(s.verbs) : nil)
    }

    /// A job whose coordinator was killed.
    private static func orphaned(_ record: JobRecord) -> Job {
        let processes = record.strays().compactMap { pid -> Process? in
            guard let s = try? ProcessStatus("/proc/\(pid)") else { return nil }
            return Process(
                pid: s.namespacePids.last ?? pid, hostPid: pid, command: s.name,
                state: String(decoding: [s.state], as: UTF8.self), residentBytes: s.residentKiB * 1024)
        }
        return Job(
            job: record.job, state: processes.isEmpty ? "ended" : "without coordinator",
            coordinatorPid: record.coordinatorPid,
            epoch: Store(root: record.store).epochs(record.job).last ?? 0,
            command: record.command.joined(separator: " "), store: record.store, residentBytes: 0,
            totalBytes: 0, processes: processes)
    }

    private func show(_ job: Job) {
        Terminal.print(
            "\(job.job)  \(job.state)  last checkpoint: \(job.epoch == 0 ? "none" : "\(job.job)@\(job.epoch)")"
        )
        Terminal.print("  \(Terminal.line(job.command))")
        if job.residentBytes < job.totalBytes {
            Terminal.print(
                "  memory arriving: \(Terminal.bytes(job.residentBytes)) of \(Terminal.bytes(job.totalBytes))"
            )
        }
        let rows =
            [["  PID", "HOST PID", "STATE", "RESIDENT", "COMMAND"]]
            + job.processes.map {
                ["  \($0.pid)", "\($0.hostPid)", $0.state, Terminal.bytes($0.residentBytes), $0.command]
            }
        Terminal.print(Terminal.table(rows))
        if let report = job.verbs { report.show() } else if verbs { Terminal.print("  No process uses verbs.") }
    }
}

struct List: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "List committed checkpoints.")

    @Argument(help: "Only this job's.")
    var job: String?

    @OptionGroup var store: StoreOption
    @OptionGroup var json: JSONFlag

    private struct Report: Encodable { let checkpoints: [Entry] }
    private struct Entry: Encodable {
        let job: String
        let epoch: UInt64
        let created: String
        let bytes: UInt64
        let mode: String
        let processes: UInt32
        let command: String
        let problem: String?
    }

    func run() throws {
        let store = store.value
        var entries: [Entry] = []
        for name in try job.map({ [$0] }) ?? jobs(store) {
            for epoch in store.epochs(name) { entries.append(Self.entry(store, name, epoch)) }
        }
        if json.json { return try printJSON(Report(checkpoints: entries)) }
        if entries.isEmpty {
            return Terminal.print("No checkpoints \(job.map { "of \($0) " } ?? "")in \(store.root).")
        }
        let rows =
            [["CHECKPOINT", "CREATED", "SIZE", "MODE", "PROCESSES", "COMMAND"]]
            + entries.map {
                [
                    "\($0.job)@\($0.epoch)", $0.created, Terminal.bytes($0.bytes), $0.mode,
                    "\($0.processes)",
                    $0.problem ?? $0.command,
                ]
            }
        Terminal.print(Terminal.table(rows))
    }

    private func jobs(_ store: Store) throws -> [String] {
        do { return try store.jobs() } catch { throw failure(error) }
    }

    private static func entry(_ store: Store, _ job: String, _ epoch: UInt64) -> Entry {
        do {
            let m = try ImageReader(store: store, job: job, epoch: epoch).manifest
            return Entry(
                job: job, epoch: epoch, created: timestamp(m.createdNs),
                bytes: m.files.reduce(0) { $0 + $1.sizeBytes }, mode: m.mode,
                processes: m.timings.processes, command: m.command.joined(separator: " "), problem: nil)
        } catch {
            return Entry(
                job: job, epoch: epoch, created: "", bytes: 0, mode: "", processes: 0, command: "",
                problem: "\(error)")
        }
    }

    private static func timestamp(_ nanoseconds: Int64) -> String {
        var seconds = time_t(nanoseconds / 1_000_000_000)
        var parts = tm()
        localtime_r(&seconds, &parts)
        var text = [CChar](repeating: 0, count: 64)
        strftime(&text, 64, "%Y-%m-%dT%H:%M:%S%z", &parts)
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

struct Kill: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "End a job: every process of it.")

    @Argument(help: "Name of the job.")
    var job: String

    func run() throws {
        let runtime = RuntimeFolder.locate(Shared.environment)
        do {
            _ = try JobClient(job).ask(.with { $0.kill = ControlKill() })
        } catch let failure as CommandFailure where failure.code == CommandFailure.unreachable {
            guard let record = JobRecord.read(job, in: runtime), !record.isAlive else { throw failure }
            for _ in 0..<100 {
                let strays = record.strays()
                if strays.isEmpty { break }
                for pid in strays { _ = Glibc.kill(pid, SIGKILL) }
                Clock.sleep(microseconds: 2000)
            }
            // Not if somebody has started a job of that name meanwhile.
            if let claim = try? JobClaim(job, in: runtime) {
                record.remove(from: runtime)
                claim.release()
            }
        }
    }
}
