import Foundation
import Glibc
import HarnessKit

/// Users without capabilities: what they get, and what they are told.
enum OrdinaryUserTests {
    static func all(_ options: Options) -> [TestCase] {
        [
            TestCase("contract.ordinary-user", tags: ["contract"], counts),
            TestCase("contract.ordinary-user-tcp", tags: ["contract"], connectionIsRefused),
            TestCase("contract.ordinary-user-network", tags: ["contract"], inNetworkOfHisOwn),
        ]
    }

    private static let nobody: UInt32 = 65534

    /// Sends numbers to itself over TCP and prints what arrives, until the file `stop` appears.
    private static let echo = """
        import os, socket, time
        listener = socket.create_server(("127.0.0.1", 0))
        sender = socket.create_connection(listener.getsockname())
        receiver = listener.accept()[0].makefile()
        number = 0
        while not os.path.exists("stop"):
            number += 1
            sender.sendall(b"%d\\n" % number)
            print(receiver.readline(), end="", flush=True)
            time.sleep(0.01)
        """

    /// Commands of the tool run as nobody, in folders that are his.
    private static func become(_ context: TestContext) throws {
        try expectRoot()
        let probe = try context.tool.run(["unshare", "-U", "true"])
        guard probe.status == .exited(0) else { throw TestSkip("no user namespaces here") }
        // The build folder may be below somebody's home. Not copied by this process: what it forks
        // meanwhile for other tests would have the file open for writing (ETXTBSY).
        let copy = context.root + "/fermata"
        let copied = try context.tool.run(["cp", context.tool.path, copy])
        try expect(copied.status == .exited(0), "cp: \(copied.lastWords)")
        context.tool.path = copy
        context.tool.prefix = [
            "setpriv", "--reuid", "\(nobody)", "--regid", "\(nobody)", "--groups", "100,\(nobody)",
        ]
        context.tool.environment["HOME"] = context.scratch
        for folder in [context.scratch, context.store, context.root + "/run", context.root + "/tmp"] {
            chown(folder, nobody, nobody)
        }
    }

    private static func expectRoot() throws {
        if geteuid() != 0 { throw TestSkip("only root can become another user") }
    }

    private static func numbers(_ text: String) -> [Int?] { text.split(separator: "\n").map { Int($0) } }

    private static func expectConsecutive(_ text: String) throws {
        let found = numbers(text)
        try expect(
            found == Array(1...max(found.count, 1)), "the numbers are not consecutive: \(text.suffix(60))")
    }

    private static func counts(_ context: TestContext) throws {
        try become(context)
        let run = try context.runJob("job", ContractTests.counter)
        _ = try run.waitForLine("5", seconds: 20)
        var text = ""
        var last = run
        for _ in 1...2 {  // what a restart makes can be checkpointed again
            try JobTests.checkpoint(context, last, mode: .fork, kill: true)
            _ = try last.finish(seconds: 20, "'fermata run' after --kill")
            text += last.outputText
            last = try context.restart("job")
            try context.waitUntilRunning("job", last)
            let next = numbers(text).count + 3
            _ = try last.waitForLine("\(next)", seconds: 20)
        }
        touch(context.scratch + "/stop")
        let status = try last.finish(seconds: 20, "the restart")
        try expect(status == .exited(5), "exit 5 became \(status)\(last.complaint)")
        try expectConsecutive(text + last.outputText)
    }

    private static func connectionIsRefused(_ context: TestContext) throws {
        try become(context)
        let run = try context.runJob("job", ["python3", "-c", echo])
        _ = try run.waitForLine("5", seconds: 20)
        let result = try context.tool.checkpoint("job", mode: .fork, kill: true)
        try expect(
            result.status == .exited(ExitCode.refused) && result.errors.contains("[network-privilege]"),
            "checkpoint must be refused with a reason: \(result.lastWords)")
        touch(context.scratch + "/stop")
        let status = try run.finish(seconds: 20, "the job after the refusal")
        try expect(status == .exited(0), "after the refusal: \(status)\(run.complaint)")
        try expectConsecutive(run.outputText)
    }

    /// As the refusal says: everything in one user and network namespace.
    private static func inNetworkOfHisOwn(_ context: TestContext) throws {
        try become(context)
        let script = """
            set -e
            ip link set lo up
            "$0" run --job job -- python3 -c "$1" > first & run=$!
            until [ -s first ]; do sleep 0.01; done
            "$0" checkpoint job --kill >&2
            wait $run || true
            "$0" restart job > second & run=$!
            until [ -s second ]; do sleep 0.01; done
            touch stop
            wait $run
            cat first second
            """
        let result = try context.tool.run(
            context.tool.prefix + [
                "unshare", "-Urpfmn", "--mount-proc", "bash", "-c", script, context.tool.path, echo,
            ])
        try expect(result.status == .exited(0), "the script: \(result.lastWords)")
        try expect(numbers(result.output).count > 1, "it printed nothing: \(result.lastWords)")
        try expectConsecutive(result.output)
    }
}
