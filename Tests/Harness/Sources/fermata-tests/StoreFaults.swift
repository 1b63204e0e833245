import Foundation
import Glibc
import HarnessKit

/// Group `faults`, second part: the store does not take what is written.
///
/// The store is a small tmpfs in a mount namespace of the test's own, so that nothing is left
/// mounted whatever happens.
enum StoreFaults {
    static func all(_ options: Options) -> [TestCase] {
        CheckpointMode.allCases.flatMap { mode in
            [
                TestCase("faults.store.full.\(mode.rawValue)", tags: ["faults", "store"]) {
                    try full(mode, $0)
                },
                TestCase("faults.store.read-only.\(mode.rawValue)", tags: ["faults", "store"]) {
                    try readOnly(mode, $0)
                },
            ]
        } + [TestCase("faults.store.missing", tags: ["faults", "store"], missing)]
    }

    /// Keeps the namespace alive; all commands of the tool enter it.
    private static func mountStore(_ context: TestContext) throws -> ChildProcess {
        guard getuid() == 0 else { throw TestSkip("needs root: mounts a small file system") }
        var environment = context.tool.environment
        environment[ProcessTable.variable] = nil
        let log = context.root + "/logs/holder.out"
        let mount = "mount -t tmpfs -o size=4m fermata-tests '\(context.store)'"
        let holder = try ChildProcess(
            [
                "unshare", "-m", "--propagation", "private", "sh", "-c",
                "\(mount) && echo mounted && exec sleep 3600",
            ], environment: environment, directory: "/", output: .file(log),
            errors: .file(log + ".err"))
        let mounted = poll(seconds: 10) {
            readText(log).contains("mounted") ? true : holder.poll() != nil ? false : nil
        }
        if mounted != true {
            throw TestSkip("cannot mount a tmpfs: \(readText(log + ".err"))")
        }
        context.tool.prefix = [
            "nsenter", "-t", "\(holder.pid)", "-m", "--wdns=\(context.scratch)", "--",
        ]
        return holder
    }

    private static func remount(_ options: String, _ context: TestContext) throws {
        let result = try context.tool.run(
            context.tool.prefix + ["mount", "-o", "remount,\(options)", context.store])
        try expect(result.status == .exited(0), "mount: \(result.lastWords)")
    }

    private static func begin(
        _ context: TestContext, _ reference: Reference
    ) throws -> RunningJob {
        let program = PlainPrograms.selfCheck
        try program.prepare(context, in: context.scratch)
        let run = try context.runJob("job", program.command(Places(context.options)))
        try Instant.bytes(reference.output.utf8.count / 10, then: 0).wait(for: run, reference)
        return run
    }

    private static func failsCleanly(_ mode: CheckpointMode, _ context: TestContext) throws {
        let result = try context.tool.checkpoint("job", mode: mode, kill: true)
        let codes = [ExitCode.cannotCreate, ExitCode.ioError]
        try expect(
            codes.contains(result.status.code),
            "checkpoint must end with 73 or 74, but: \(result.lastWords)")
        try expect(!result.errors.isEmpty, "no message about the store")
        context.note(result.lastWords)
        let epochs = try context.tool.epochs(of: "job")
        try expect(epochs.isEmpty, "nothing was committed, but list shows \(epochs)")
    }

    private static func full(_ mode: CheckpointMode, _ context: TestContext) throws {
        let reference = try Reference.of(PlainPrograms.selfCheck, context)
        let holder = try mountStore(context)
        let run = try begin(context, reference)
        // Asked to kill: a checkpoint that fails must not kill.
        try failsCleanly(mode, context)
        let used = try context.tool.run(
            context.tool.prefix + ["sh", "-c", "du -sk '\(context.store)' | cut -f1"])
        let kilobytes = Int(used.output.trimmingCharacters(in: .whitespacesAndNewlines)) ?? 0
        try expect(
            kilobytes < 512, "the discarded epoch still fills the store: \(kilobytes) KiB")
        // Once there is room again the same job can be saved.
        try remount("size=2g", context)
        try JobTests.checkpoint(context, run, mode: mode, kill: true)
        _ = try run.finish(seconds: 20, "'fermata run' after checkpoint --kill")
        let restart = try context.restart("job")
        let status = try restart.finish(seconds: 60 + 15 * reference.seconds, "the restart")
        try expect(status == .exited(0), "the restart: \(status)\(restart.complaint)")
        try OutputComparison.exact(
            first: run.outputText, rest: restart.outputText, reference: reference.output)
        try context.expectNothingLeft("after the restart's end")
        holder.signal(SIGKILL)
    }

    private static func readOnly(_ mode: CheckpointMode, _ context: TestContext) throws {
        let reference = try Reference.of(PlainPrograms.selfCheck, context)
        let holder = try mountStore(context)
        let run = try begin(context, reference)
        try remount("ro", context)
        try failsCleanly(mode, context)
        let status = try run.finish(seconds: 60 + 15 * reference.seconds, "the job")
        try expect(status == .exited(0), "the job: \(status)\(run.complaint)")
        try OutputComparison.exact(first: run.outputText, rest: "", reference: reference.output)
        try context.expectNothingLeft("after the job's end")
        holder.signal(SIGKILL)
    }

    /// A store below a regular file can never be made.
    private static func missing(_ context: TestContext) throws {
        let file = context.root + "/file"
        touch(file)
        let run = try context.start(
            "run",
            [context.tool.path, "run", "--job", "job", "--store", file + "/store", "--"]
                + ContractTests.counter)
        // Either `run` refuses at once or the checkpoint does.
        let known = try poll(seconds: 20) { () -> Bool? in
            if run.process.poll() != nil { return false }
            return try context.tool.status(of: "job")?.state == "running" ? true : nil
        }
        if known == false {
            let status = try run.finish(seconds: 1, "fermata run")
            try expect(status.code != 0, "ended with 0 without a store")
            try expect(
                run.complaint.contains(file), "the message does not name it\(run.complaint)")
            return
        }
        try expect(known == true, "neither running nor refused\(run.complaint)")
        let result = try context.tool.checkpoint("job", mode: .stop, kill: false)
        try expect(
            [ExitCode.cannotCreate, ExitCode.ioError].contains(result.status.code),
            "checkpoint must end with 73 or 74, but: \(result.lastWords)")
        touch(context.scratch + "/stop")
        let status = try run.finish(seconds: 20, "the job")
        try expect(status == .exited(5), "exit 5 became \(status)")
    }
}
