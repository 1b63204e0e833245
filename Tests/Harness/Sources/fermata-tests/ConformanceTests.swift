import Foundation
import Glibc
import HarnessKit

/// Group `conformance`: small C programs, one kernel feature each. A program sets its feature up,
/// prints "ready", waits for the file $FERMATA_GO and then verifies what it set up.
enum ConformanceTests {
    static func all(_ options: Options) -> [TestCase] {
        guard let folder = options.conformance else { return [] }
        let ordinary = programs(in: folder).flatMap { program -> [TestCase] in
            let name = "conformance.\((program as NSString).lastPathComponent)"
            let modes = CheckpointMode.allCases.flatMap { mode -> [TestCase] in
                [
                    TestCase("\(name).\(mode.rawValue).restart", tags: ["conformance"]) {
                        try restart(program, mode, links: 1, $0)
                    },
                    TestCase("\(name).\(mode.rawValue).leave-running", tags: ["conformance"]) {
                        try leaveRunning(program, mode, $0)
                    },
                ]
            }
            let chain = TestCase("\(name).stop.chain", tags: ["conformance", "chain"]) {
                try restart(program, .stop, links: 2, $0)
            }
            return modes + [chain]
        }
        let refused = programs(in: folder + "/Refused").flatMap { program in
            CheckpointMode.allCases.map { mode in
                let name = (program as NSString).lastPathComponent
                return TestCase(
                    "conformance.refused.\(name).\(mode.rawValue)",
                    tags: ["conformance", "refused"]
                ) {
                    try isRefused(program, mode, $0)
                }
            }
        }
        let wrapping = TestCase("conformance.threads-64.ids-wrap", tags: ["conformance"]) {
            try idsWrap(folder + "/threads-64", $0)
        }
        return ordinary + refused + [wrapping]
    }

    private static func programs(in folder: String) -> [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return names.sorted().map { "\(folder)/\($0)" }.filter { path in
            var info = stat()
            return stat(path, &info) == 0 && info.st_mode & S_IFMT == S_IFREG
                && access(path, X_OK) == 0 && !path.hasSuffix(".sh") && !path.hasSuffix(".so")
        }
    }

    /// The program under the tool, ready, at a random instant of its waiting.
    private static func begin(
        _ program: String, _ context: TestContext, outside: OutsidePeers? = nil
    ) throws -> RunningJob {
        let own = ["FERMATA_GO": go(context), "FERMATA_SCRATCH": context.scratch]
        let environment = own.merging(outside?.environment ?? [:]) { $1 }
        let run = try context.start(
            "run", [context.tool.path, "run", "--job", "job", "--", program], extra: environment)
        do {
            _ = try run.waitForLine("ready", seconds: 20)
        } catch {
            if run.process.poll() == .exited(77), let why = run.line("SKIP") {
                throw TestSkip(String(why.dropFirst("SKIP: ".count)))
            }
            throw error
        }
        wait(context)
        return run
    }

    private static func go(_ context: TestContext) -> String { context.root + "/go" }

    private static func wait(_ context: TestContext) {
        let seconds = context.random.seconds(in: 0...0.05)
        context.note(String(format: "%.1f ms after ready", seconds * 1000))
        pause(seconds: seconds)
    }

    private static func verify(_ run: RunningJob, _ who: String, _ context: TestContext) throws {
        touch(go(context))
        let status = try run.finish(seconds: 40, who)
        let text = run.outputText
        let verdict = text.split(separator: "\n").last { $0 == "PASS" || $0.hasPrefix("FAIL") }
        try expect(
            verdict == "PASS" && status == .exited(0),
            "\(who): \(status), \(verdict ?? "no verdict in '\(text.suffix(200))'")"
                + run.complaint)
        try context.expectNothingLeft("after PASS")
    }

    /// `fork`: the job goes on after the cut, and is killed then (with --kill it would stand still
    /// and nothing would be forked).
    private static func restart(
        _ program: String, _ mode: CheckpointMode, links: Int, _ context: TestContext
    ) throws {
        var run = try begin(program, context)
        for link in 1...links {
            let result = try context.tool.checkpoint("job", mode: mode, kill: mode == .stop)
            try expect(
                result.status == .exited(0), "checkpoint \(link): \(result.lastWords)")
            if mode == .fork { try context.killJob("job", run) }
            _ = try run.finish(seconds: 20, "'fermata run' after the checkpoint")
            try context.expectNothingLeft("after the checkpoint")
            let verdict = run.line("PASS") ?? run.line("FAIL")
            try expect(verdict == nil, "before the restart: \(verdict ?? "")")
            run = try context.restart("job")
            if link < links {
                try context.waitUntilRunning("job", run)
                wait(context)
            }
        }
        try verify(run, "the restarted program", context)
    }

    private static func leaveRunning(
        _ program: String, _ mode: CheckpointMode, _ context: TestContext
    ) throws {
        let run = try begin(program, context)
        let result = try context.tool.checkpoint("job", mode: mode, kill: false)
        try expect(result.status == .exited(0), "checkpoint: \(result.lastWords)")
        try verify(run, "the original program", context)
    }

    /// A refusal names the process, and the program never notices that anything was tried.
    private static func isRefused(
        _ program: String, _ mode: CheckpointMode, _ context: TestContext
    ) throws {
        let outside = try OutsidePeers(in: context.root)
        defer { withExtendedLifetime(outside) {} }
        let run = try begin(program, context, outside: outside)
        let pids = try context.tool.status(of: "job")?.processes ?? []
        let result = try context.tool.checkpoint("job", mode: mode, kill: false)
        try expect(
            result.status == .exited(ExitCode.refused) || result.status == .exited(ExitCode.temporary),
            "checkpoint must be refused (77, or 75 for now), but: \(result.lastWords)")
        let numbers = Set(result.errors.split { !$0.isNumber }.compactMap { Int32($0) })
        let known = Set(pids.flatMap { [$0.pid, $0.hostPid] })
        try expect(
            !numbers.isDisjoint(with: known),
            "the refusal names none of the job's pids \(known.sorted()): \(result.errors)")
        try expect(
            try context.tool.epochs(of: "job").isEmpty, "a refused checkpoint left an epoch")
        try verify(run, "the program after the refusal", context)
    }

    /// Process ids start again at the bottom in the midst of a process's threads (proc(5),
    /// ns_last_pid), so that its first thread has the highest id of all: in a pid namespace of its
    /// own, each time before the program is started or restarted.
    private static func idsWrap(_ program: String, _ context: TestContext) throws {
        guard geteuid() == 0 else { throw TestSkip("needs root: a pid namespace of its own") }
        let script = """
            wrap() { echo $(($(cat /proc/sys/kernel/pid_max) - 40)) > /proc/sys/kernel/ns_last_pid; }
            running() { until "$TOOL" status --json | grep -q '"running"'; do sleep 0.05; done; }
            cut() { timeout 30 "$TOOL" checkpoint job --kill --mode $1 >&2 || exit; wait; }
            wrap; "$TOOL" run --job job -- "$PROGRAM" > begun &
            until grep -q ready begun; do sleep 0.05; done
            cut stop
            wrap; "$TOOL" restart job & running; cut fork
            wrap; "$TOOL" restart job & running; touch "$FERMATA_GO"; wait
            """
        let run = try context.start(
            "unshare", ["unshare", "--pid", "--fork", "--mount-proc", "bash", "-c", script],
            extra: [
                "TOOL": context.tool.path, "PROGRAM": program, "FERMATA_GO": go(context),
                "FERMATA_SCRATCH": context.scratch,
            ])
        _ = try run.finish(seconds: 60, "the whole")
        try expect(run.line("PASS") != nil, "no PASS in '\(run.outputText)'\(run.complaint)")
        try context.expectNothingLeft("after PASS")
    }
}
