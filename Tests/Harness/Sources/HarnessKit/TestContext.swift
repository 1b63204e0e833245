import Foundation
import Glibc

/// What one test works with: folders of its own, the tool bound to them, its random sequence.
package final class TestContext {
    package let name: String
    package var random: SeededRandom
    package let options: Options
    /// Everything of this test is below.
    package let root: String
    /// The job's working directory.
    package let scratch: String
    package let store: String
    package let mark: String
    package var tool: FermataTool
    /// What the test drew and met; printed when it fails.
    package private(set) var notes: [String] = []
    private var runs = 0

    package init(name: String, serial: Int, options: Options) throws {
        self.name = name
        self.options = options
        random = SeededRandom(seed: options.seed, name: name)
        mark = "\(options.markPrefix)\(serial)-"
        // Short: a unix socket's path has at most 107 characters.
        root = "\(options.work)/\(serial)"
        scratch = root + "/scratch"
        store = root + "/store"
        let runtime = root + "/run"
        let logs = root + "/logs"
        let temporary = root + "/tmp"
        for folder in [scratch, store, runtime, logs, temporary] {
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true)
        }
        chmod(runtime, 0o700)
        chmod(store, 0o700)
        var environment = TestContext.baseEnvironment
        environment["FERMATA_STORE"] = store
        environment["FERMATA_RUNTIME_DIR"] = runtime
        environment["TMPDIR"] = temporary
        environment[ProcessTable.variable] = mark
        tool = FermataTool(
            path: options.fermata, directory: scratch, environment: environment, logs: logs)
    }

    /// Little is inherited, so that a test does the same from every shell.
    private static let baseEnvironment: [String: String] = {
        var environment = ["LC_ALL": "C.UTF-8", "TERM": "xterm", "SHELL": "/bin/bash"]
        for name in ["PATH", "HOME", "USER", "LOGNAME"] {
            environment[name] = ProcessInfo.processInfo.environment[name]
        }
        environment["SWIFT_BACKTRACE"] = "enable=no"
        return environment
    }()

    package func note(_ text: String) {
        notes.append(text)
    }

    /// A command in the background, with its output in files of its own.
    package func start(
        _ label: String, _ arguments: [String], input: Input = .null, throughPipe: Bool = false,
        extra: [String: String] = [:], directory: String? = nil
    ) throws -> RunningJob {
        runs += 1
        let base = "\(tool.logs)/\(runs)-\(label)"
        let process = try ChildProcess(
            arguments, environment: tool.environment.merging(extra) { $1 },
            directory: directory ?? scratch, input: input,
            output: throughPipe ? .pipe(into: base + ".out") : .file(base + ".out"),
            errors: .file(base + ".err"))
        return RunningJob(process: process, outputPath: base + ".out", errorPath: base + ".err")
    }

    /// `fermata run`, returned once the tool knows the job.
    package func runJob(
        _ job: String, _ command: [String], options: [String] = [], input: Input = .null,
        throughPipe: Bool = false, extra: [String: String] = [:]
    ) throws -> RunningJob {
        let running = try start(
            "run", tool.prefix + [tool.path, "run", "--job", job] + options + ["--"] + command,
            input: input, throughPipe: throughPipe, extra: extra)
        let known = try poll(seconds: 20) { () -> Bool? in
            if running.process.poll() != nil { return true }
            return try tool.status(of: job)?.state == "running" ? true : nil
        }
        try expect(known == true, "fermata status never showed the job\(running.complaint)")
        return running
    }

    package func restart(
        _ job: String, epoch: Int? = nil, input: Input = .null, throughPipe: Bool = false,
        options: [String] = []
    ) throws -> RunningJob {
        try start(
            "restart",
            tool.prefix + [tool.path, "restart", epoch.map { "\(job)@\($0)" } ?? job] + options,
            input: input, throughPipe: throughPipe)
    }

    /// Waits until the tool shows the job as running, which a restart does once its processes go.
    package func waitUntilRunning(_ job: String, _ running: RunningJob) throws {
        let known = try poll(seconds: 20) { () -> Bool? in
            if running.process.poll() != nil { return false }
            return try tool.status(of: job)?.state == "running" ? true : nil
        }
        try expect(known == true, "it never was in state 'running'\(running.complaint)")
    }

    /// SIGKILL to the coordinator and to every process of the job, at one instant.
    package func killJob(_ job: String, _ running: RunningJob) throws {
        let row = try tool.status(of: job)
        let told = (row?.processes ?? []).map(\.hostPid) + [row?.coordinatorPid ?? 0]
        // The number of a process that is gone may belong to somebody else by now: only what also
        // carries the mark is killed.
        let living = Set(ProcessTable.marked(prefix: mark).map(\.pid))
        ProcessTable.killAll(prefix: mark, and: told.filter { living.contains($0) })
        _ = try running.finish(seconds: 15, "'fermata run' after SIGKILL")
    }

    /// Fails when anything of the test still lives a moment after it should have ended.
    package func expectNothingLeft(_ when: String) throws {
        var left: [ProcessEntry] = []
        _ = poll(seconds: 8) { () -> Bool? in
            left = ProcessTable.marked(prefix: mark)
            return left.isEmpty ? true : nil
        }
        let shown = left.map { "\($0.name) (pid \($0.pid), state \($0.state))" }
        try expect(left.isEmpty, "\(when), still there: \(shown.joined(separator: ", "))")
    }

    /// As at the test's start, for another try.
    package func emptyScratch() throws {
        let files = FileManager.default
        for name in try files.contentsOfDirectory(atPath: scratch) {
            try files.removeItem(atPath: "\(scratch)/\(name)")
        }
    }

    package func cleanUp(keep: Bool) {
        ProcessTable.killAll(prefix: mark)
        if !keep {
            try? FileManager.default.removeItem(atPath: root)
        }
    }
}
