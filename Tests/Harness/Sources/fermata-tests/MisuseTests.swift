import Foundation
import Glibc
import HarnessKit

/// Group `contract`: what goes wrong in a person's hands. Nothing is started, nothing is left, and
/// the exit status and the message say what to do.
enum MisuseTests {
    static func all(_ options: Options) -> [TestCase] {
        [
            TestCase("contract.two-restarts-at-once", tags: ["contract"], twoRestarts),
            TestCase("contract.name-of-the-orphaned", tags: ["contract"], orphanedName),
            TestCase("contract.wrong-options", tags: ["contract"], wrongOptions),
            TestCase("contract.unusable-folders", tags: ["contract"], unusableFolders),
            TestCase("contract.from-inside", tags: ["contract"], fromInside),
            TestCase("contract.documents", tags: ["contract"], documents),
        ]
    }

    /// An image of the counter, which has ended.
    private static func makeImage(_ context: TestContext) throws {
        let run = try context.runJob("job", ContractTests.counter)
        _ = try run.waitForLine("5", seconds: 20)
        try JobTests.checkpoint(context, run, mode: .stop, kill: true)
        _ = try run.finish(seconds: 20, "'fermata run' after --kill")
    }

    private static func twoRestarts(_ context: TestContext) throws {
        try makeImage(context)
        for round in 1...5 {
            let rivals = try (0..<2).map {
                try context.start("rival-\(round)-\($0)", [context.tool.path, "restart", "job"])
            }
            let loser = try poll(seconds: 20) { rivals.firstIndex { $0.process.wait(seconds: 0.01) != nil } }
            guard let loser else { throw TestFailure("round \(round): both restarts run") }
            let status = try rivals[loser].finish(seconds: 1, "the second restart")
            try expect(
                status == .exited(73) && rivals[loser].complaint.contains("job named job is running"),
                "round \(round): \(status)\(rivals[loser].complaint)")
            _ = try rivals[1 - loser].waitForLine("", seconds: 20)
            try context.killJob("job", rivals[1 - loser])
            try context.expectNothingLeft("after round \(round)")
        }
    }

    private static func orphanedName(_ context: TestContext) throws {
        let job = "orphan-\(context.mark)1"
        let run = try context.runJob(job, ["sleep", "100"])
        run.process.signal(SIGKILL)
        _ = run.process.wait(seconds: 10)
        let second = try context.tool.command(["run", "--job", job, "--", "true"], seconds: 20)
        try expect(
            second.status == .exited(73) && second.errors.contains("fermata kill \(job)"),
            "a second job of that name: \(second.lastWords)")
        let kill = try context.tool.command(["kill", job], seconds: 20)
        try expect(kill.status == .exited(0), "fermata kill: \(kill.lastWords)")
        let third = try context.tool.command(["run", "--job", job, "--", "true"], seconds: 20)
        try expect(third.status == .exited(0), "after fermata kill: \(third.lastWords)")
        let left = try FileManager.default.contentsOfDirectory(
            atPath: context.tool.environment["FERMATA_RUNTIME_DIR"]!)
        try expect(left.isEmpty, "left in the runtime folder: \(left)")
    }

    private static func wrongOptions(_ context: TestContext) throws {
        let run = ["--", "touch", "started"]
        let wrong: [(arguments: [String], variables: [String: String])] = [
            (["run", "--interval", "inf"] + run, [:]), (["run", "--interval", "1e300"] + run, [:]),
            (["run", "--interval=-3"] + run, [:]), (["run", "--interval", "nan"] + run, [:]),
            (["run", "--keep=-1"] + run, [:]), (["run", "--job", "a/b"] + run, [:]),
            (["run"] + run, ["FERMATA_INTERVAL": "abc"]), (["run"] + run, ["FERMATA_INTERVAL": "-5"]),
            (["restart", "job", "--interval=-3"], [:]), (["run"], [:]),
        ]
        for (arguments, variables) in wrong {
            var tool = context.tool
            tool.environment.merge(variables) { $1 }
            let result = try tool.command(arguments, seconds: 20)
            try expect(
                result.status == .exited(64) && !result.errors.isEmpty,
                "\(arguments) \(variables): \(result.lastWords)")
        }
        try expect(access(context.scratch + "/started", F_OK) != 0, "a command ran all the same")
        try context.expectNothingLeft("after wrong options")
    }

    private static func unusableFolders(_ context: TestContext) throws {
        try makeImage(context)
        let long = context.root + "/" + String(repeating: "long", count: 30)
        mkdir(long, 0o700)
        for folder in ["/proc/none", long] {
            var tool = context.tool
            tool.environment["FERMATA_RUNTIME_DIR"] = folder
            for arguments in [["run", "--", "touch", "started"], ["restart", "job"]] {
                let result = try tool.command(arguments, seconds: 20)
                try expect(
                    result.status == .exited(73) && result.errors.hasPrefix("fermata: "),
                    "\(arguments) with \(folder): \(result.lastWords)")
                try expect(result.output.isEmpty, "\(arguments): the job ran: \(result.output)")
                try context.expectNothingLeft("after \(arguments) with \(folder)")
            }
        }
        let job = try context.runJob("storeless", ["sleep", "100"], options: ["--store", "/proc/none"])
        let result = try context.tool.command(["checkpoint", "storeless"], seconds: 20)
        try expect(
            result.status == .exited(73) && result.errors.contains("--store"),
            "a store that cannot be made: \(result.lastWords)")
        try context.killJob("storeless", job)
    }

    private static func fromInside(_ context: TestContext) throws {
        let tool = context.tool.path
        let run = try context.runJob(
            "job", ["sh", "-c", "\(tool) checkpoint $FERMATA_JOB; echo status $?; sleep 100"])
        let line = try run.waitForLine("status", seconds: 20)
        try expect(
            line == "status 77" && run.complaint.contains("outside of the job"), "\(line)\(run.complaint)")
        try JobTests.checkpoint(context, run, mode: .stop, kill: false)
        try context.killJob("job", run)
    }

    /// What scripts read: valid JSON with documented keys, also of an image that is damaged; and the
    /// command that `checkpoint --kill` advises.
    private static func documents(_ context: TestContext) throws {
        let store = context.root + "/elsewhere"
        let run = try context.runJob("job", ContractTests.counter, options: ["--store", store])
        _ = try run.waitForLine("5", seconds: 20)
        let checkpoint = try context.tool.command(["checkpoint", "job", "--kill"], seconds: 30)
        try expect(
            checkpoint.output.contains("fermata restart job --store \(store)\n"),
            "what to do next: \(checkpoint.output)")
        _ = try run.finish(seconds: 20, "'fermata run' after --kill")
        let shown = try context.tool.command(["image", "show", "job", "--store", store, "--json"])
        let document = try JSONSerialization.jsonObject(with: Data(shown.output.utf8)) as? [String: Any]
        let manifest = document?["manifest"] as? [String: Any]
        try expect(manifest?["tool_version"] is String, "image show --json: \(shown.output.prefix(200))")
        let manifestFile = store + "/job/1/manifest"
        var bytes = try Data(contentsOf: URL(fileURLWithPath: manifestFile))
        bytes[40] ^= 1
        try bytes.write(to: URL(fileURLWithPath: manifestFile))
        let verify = try context.tool.command(["image", "verify", "job", "--store", store, "--json"])
        let report = try JSONSerialization.jsonObject(with: Data(verify.output.utf8)) as? [String: Any]
        try expect(
            verify.status == .exited(74) && report?["intact"] as? Bool == false,
            "image verify --json: \(verify.lastWords)")
        let none = try context.tool.command(["restart", "nobody", "--store", store])
        try expect(none.status == .exited(69), "restart of what is not there: \(none.lastWords)")
    }
}
