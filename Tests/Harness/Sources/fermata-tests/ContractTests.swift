import Foundation
import Glibc
import HarnessKit

/// Group `contract`: what `run` and `restart` pass through, without which nobody can put them in
/// front of a command in a script.
enum ContractTests {
    static func all(_ options: Options) -> [TestCase] {
        [
            TestCase("contract.exit-status", tags: ["contract"], exitStatus),
            TestCase("contract.exit-status-of-restart", tags: ["contract"], restartedExitStatus),
            TestCase("contract.killed-by-signal", tags: ["contract"], killedBySignal),
            TestCase("contract.signals", tags: ["contract"], signals),
            TestCase("contract.standard-input", tags: ["contract"], standardInput),
            TestCase("contract.standard-error", tags: ["contract"], standardError),
            TestCase("contract.directory-and-environment", tags: ["contract"], surroundings),
            TestCase("contract.status", tags: ["contract"], status),
            TestCase("contract.kill", tags: ["contract"], killCommand),
            TestCase("contract.kill-spares-namesakes", tags: ["contract"], killSparesNamesakes),
            TestCase("contract.interval", tags: ["contract"], interval),
            TestCase("contract.checkpoint-at-once", tags: ["contract"], checkpointAtOnce),
            TestCase("contract.older-epoch", tags: ["contract"], olderEpoch),
            TestCase("contract.unknown-job", tags: ["contract"], unknownJob),
            TestCase("contract.job-that-has-ended", tags: ["contract"], jobThatHasEnded),
            TestCase("contract.silent-client", tags: ["contract"], silentClient),
            TestCase("contract.restart-after-its-own-end", tags: ["contract"], afterItsOwnEnd),
            TestCase("contract.restart-after-removal", tags: ["contract"], afterRemoval),
            TestCase("contract.restart-preloaded", tags: ["contract"], preloaded),
        ]
    }

    /// Counts for ever, a line per number; ends with 5 when the file `stop` appears.
    static let counter = [
        "bash", "-c",
        "i=0; while ! [ -e stop ]; do i=$((i + 1)); echo $i; sleep 0.01; done; exit 5",
    ]

    private static func stop(_ context: TestContext) {
        touch(context.scratch + "/stop")
    }

    private static func exitStatus(_ context: TestContext) throws {
        for code in [Int32(0), 1, 7, 77, 255] {
            let run = try context.start(
                "run",
                [
                    context.tool.path, "run", "--job", "j\(code)", "--", "sh", "-c",
                    "exit \(code)",
                ])
            let status = try run.finish(seconds: 20, "fermata run")
            try expect(status == .exited(code), "exit \(code) became \(status)\(run.complaint)")
        }
        let missing = try context.start(
            "run", [context.tool.path, "run", "--", "/no/such/program"])
        let status = try missing.finish(seconds: 20, "fermata run of nothing")
        try expect(status.code != 0, "a command that does not exist ended with 0")
        try expect(!missing.complaint.isEmpty, "a command that does not exist: no message")
        let useless = try context.tool.command(
            ["run", "--verbs", "off", "--link-layer", "ethernet", "--", "true"])
        try expect(
            useless.status == .exited(64) && useless.errors.contains("--verbs soft"),
            "--link-layer without an adapter: \(useless.lastWords)")
    }

    private static func restartedExitStatus(_ context: TestContext) throws {
        let run = try context.runJob("job", counter)
        _ = try run.waitForLine("5", seconds: 20)
        try JobTests.checkpoint(context, run, mode: .stop, kill: true)
        _ = try run.finish(seconds: 20, "'fermata run' after --kill")
        let restart = try context.restart("job")
        _ = try restart.waitForLine("", seconds: 20)
        stop(context)
        let status = try restart.finish(seconds: 20, "the restart")
        try expect(status == .exited(5), "exit 5 became \(status)\(restart.complaint)")
        // Nothing lost, nothing doubled: the numbers of both parts are 1, 2, 3, …
        let numbers = (run.outputText + restart.outputText).split(separator: "\n").map { Int($0) }
        try expect(
            numbers == Array(1...max(numbers.count, 1)).map { $0 },
            "the numbers are not consecutive: "
                + "\(run.outputText.suffix(20)) then \(restart.outputText.prefix(20))")
    }

    private static func killedBySignal(_ context: TestContext) throws {
        let run = try context.start(
            "run", [context.tool.path, "run", "--", "sh", "-c", "kill -TERM $$"])
        let status = try run.finish(seconds: 20, "fermata run")
        try expect(
            status.code == 128 + SIGTERM, "a job killed by SIGTERM became \(status)")
    }

    private static func signals(_ context: TestContext) throws {
        let script = """
            trap 'echo usr1' USR1; trap 'echo term; exit 9' TERM
            echo ready; while :; do sleep 0.02; done
            """
        let run = try context.runJob("job", ["bash", "-c", script])
        _ = try run.waitForLine("ready", seconds: 20)
        run.process.signal(SIGUSR1)
        _ = try run.waitForLine("usr1", seconds: 10)
        try JobTests.checkpoint(context, run, mode: .stop, kill: true)
        _ = try run.finish(seconds: 20, "'fermata run' after --kill")
        let restart = try context.restart("job")
        let known = try poll(seconds: 20) {
            try context.tool.status(of: "job")?.state == "running" ? true : nil
        }
        try expect(known == true, "the restart is not running\(restart.complaint)")
        restart.process.signal(SIGUSR1)
        _ = try restart.waitForLine("usr1", seconds: 10)
        restart.process.signal(SIGTERM)
        _ = try restart.waitForLine("term", seconds: 10)
        let status = try restart.finish(seconds: 20, "the restart after SIGTERM")
        try expect(status == .exited(9), "exit 9 of the trap became \(status)")
    }

    /// What is typed before the cut goes to the job, what is typed after goes to the restart.
    private static func standardInput(_ context: TestContext) throws {
        let before = try Feed()
        let after = try Feed()
        let script = "while read -r line; do echo \"got $line\"; done; echo end"
        let run = try context.runJob(
            "job", ["bash", "-c", script], input: .descriptor(before.readingEnd))
        before.write("one\n")
        _ = try run.waitForLine("got one", seconds: 20)
        try JobTests.checkpoint(context, run, mode: .stop, kill: true)
        _ = try run.finish(seconds: 20, "'fermata run' after --kill")
        let restart = try context.restart("job", input: .descriptor(after.readingEnd))
        after.write("two\n")
        _ = try restart.waitForLine("got two", seconds: 20)
        after.end()
        let status = try restart.finish(seconds: 20, "the restart at the end of its input")
        try expect(status == .exited(0), "the restart: \(status)")
        try expect(
            restart.outputText == "got two\nend\n", "it printed '\(restart.outputText)'")
    }

    private static func standardError(_ context: TestContext) throws {
        let script = "while ! [ -e stop ]; do echo problem >&2; sleep 0.02; done"
        let run = try context.runJob("job", ["bash", "-c", script])
        let said = poll(seconds: 10) { readText(run.errorPath).contains("problem") ? true : nil }
        try expect(said == true, "the job's stderr did not come through")
        try JobTests.checkpoint(context, run, mode: .fork, kill: true)
        _ = try run.finish(seconds: 20, "'fermata run' after --kill")
        let restart = try context.restart("job")
        let again = poll(seconds: 10) {
            readText(restart.errorPath).contains("problem") ? true : nil
        }
        try expect(again == true, "the restarted job's stderr did not come through")
        try expect(run.outputText + restart.outputText == "", "something was on stdout")
        stop(context)
        _ = try restart.finish(seconds: 20, "the restart")
    }

    private static func surroundings(_ context: TestContext) throws {
        let run = try context.start(
            "run",
            [
                context.tool.path, "run", "--", "sh", "-c",
                "pwd; echo $WITNESS; ulimit -n; umask; echo \"$1|$2\"", "sh", "a b", "",
            ],
            extra: ["WITNESS": "a  b"])
        let plain = try context.start(
            "plain",
            [
                "sh", "-c", "pwd; echo $WITNESS; ulimit -n; umask; echo \"$1|$2\"", "sh", "a b",
                "",
            ],
            extra: ["WITNESS": "a  b"])
        _ = try run.finish(seconds: 20, "fermata run")
        _ = try plain.finish(seconds: 20, "sh")
        try expect(
            run.outputText == plain.outputText,
            "under the tool: '\(run.outputText)', without: '\(plain.outputText)'")
    }

    /// `status` knows exactly the job's processes, and a restart gives them their old numbers.
    private static func status(_ context: TestContext) throws {
        let script = "sleep 1000 & sleep 1001 & echo ready; wait"
        let run = try context.runJob("job", ["bash", "-c", script])
        _ = try run.waitForLine("ready", seconds: 20)
        pause(seconds: 0.1)
        let before = try processes(context)
        try expect(
            before.count == 3, "bash and two sleeps, but status shows \(before.map(\.pid))")
        for process in before {
            let marked = ProcessTable.marked(prefix: context.mark).map(\.pid)
            try expect(marked.contains(process.hostPid), "host_pid \(process.hostPid) is none")
        }
        try JobTests.checkpoint(context, run, mode: .stop, kill: true)
        _ = try run.finish(seconds: 20, "'fermata run' after --kill")
        try expect(
            try context.tool.status(of: "job")?.state != "running", "a killed job is 'running'")
        let shown = try context.tool.command(["image", "show", "job"])
        try expect(
            shown.status == .exited(0) && !shown.output.isEmpty, "image show: \(shown.lastWords)")
        let restart = try context.restart("job")
        let same = try poll(seconds: 20) {
            try processes(context).map(\.pid).sorted() == before.map(\.pid).sorted() ? true : nil
        }
        let after = try processes(context).map(\.pid)
        try expect(
            same == true,
            "pids \(before.map(\.pid)) became \(after)\(restart.complaint)")
    }

    private static func processes(
        _ context: TestContext
    ) throws -> [StatusDocument.Process] {
        try context.tool.status(of: "job")?.processes ?? []
    }

    private static func killCommand(_ context: TestContext) throws {
        let run = try context.runJob("job", ["bash", "-c", "sleep 100 & sleep 101 & wait"])
        let result = try context.tool.command(["kill", "job"], seconds: 20)
        try expect(result.status == .exited(0), "fermata kill: \(result.lastWords)")
        let status = try run.finish(seconds: 20, "'fermata run' after 'fermata kill'")
        try expect(status.code != 0, "a job that was killed ended with 0")
        try context.expectNothingLeft("after fermata kill")
    }

    /// Two jobs of one name, of two people or of two runtime folders: `kill` of the one whose
    /// coordinator is dead leaves the other alone.
    private static func killSparesNamesakes(_ context: TestContext) throws {
        let job = "namesake-\(context.mark)1"
        let run = try context.runJob(job, ["sleep", "100"])
        let other = context.root + "/other"
        mkdir(other, 0o700)
        let namesake = try context.start(
            "run", [context.tool.path, "run", "--job", job, "--", "sh", "-c", "echo up; sleep 100"],
            extra: ["FERMATA_RUNTIME_DIR": other])
        _ = try namesake.waitForLine("up", seconds: 20)
        run.process.signal(SIGKILL)
        _ = run.process.wait(seconds: 10)
        let result = try context.tool.command(["kill", job], seconds: 20)
        try expect(result.status == .exited(0), "fermata kill: \(result.lastWords)")
        let end = namesake.process.wait(seconds: 0.5)
        try expect(
            end == nil, "fermata kill also ended the job of another FERMATA_RUNTIME_DIR: \(end!)")
    }

    private static func interval(_ context: TestContext) throws {
        let run = try context.runJob("job", counter, options: ["--interval", "1"])
        let two = try poll(seconds: 20) {
            try context.tool.epochs(of: "job").count >= 2 ? true : nil
        }
        try expect(two == true, "no two epochs within 20 s of --interval 1")
        try context.killJob("job", run)
        let restart = try context.restart("job")
        _ = try restart.waitForLine("", seconds: 20)
        stop(context)
        let status = try restart.finish(seconds: 20, "the restart")
        try expect(status == .exited(5), "exit 5 became \(status)\(restart.complaint)")
        let last = Int(restart.outputText.split(separator: "\n").first ?? "") ?? 0
        let printed = run.outputText.split(separator: "\n").count
        try expect(
            last > 1 && last <= printed + 1,
            "the restart went on with \(last), after \(printed) had been printed")
    }

    /// Whoever is too fast gets the command, and nothing of the tool that was about to start it.
    private static func checkpointAtOnce(_ context: TestContext) throws {
        for round in 1...20 {
            let run = try context.start("run", [context.tool.path, "run", "--job", "job", "--", "sleep", "100"])
            let isDone = try poll(seconds: 20) { () -> Bool? in
                let result = try context.tool.checkpoint("job", mode: .stop, kill: true)
                return result.status == .exited(0) ? true : nil
            }
            try expect(isDone == true, "round \(round): no checkpoint\(run.complaint)")
            _ = try run.finish(seconds: 20, "'fermata run' after --kill")
            let image = try context.tool.command(["image", "show", "job"])
            try expect(
                image.output.contains("  sleep 100\n") && !image.output.contains("run --job"),
                "round \(round): \(image.output)\(image.lastWords)")
        }
    }

    /// JOB@EPOCH goes back further than JOB.
    private static func olderEpoch(_ context: TestContext) throws {
        let run = try context.runJob("job", counter)
        _ = try run.waitForLine("5", seconds: 20)
        try JobTests.checkpoint(context, run, mode: .stop, kill: false)
        let between = run.outputText.split(separator: "\n").count
        pause(seconds: 0.3)
        try JobTests.checkpoint(context, run, mode: .stop, kill: true)
        _ = try run.finish(seconds: 20, "'fermata run' after --kill")
        let epochs = try context.tool.epochs(of: "job")
        try expect(epochs.count == 2, "two checkpoints, epochs \(epochs)")
        let total = run.outputText.split(separator: "\n").count
        for (epoch, goesOnBefore) in [(epochs[1], total + 2), (epochs[0], between + 2)] {
            try? FileManager.default.removeItem(atPath: context.scratch + "/stop")
            let restart = try context.restart("job", epoch: epoch)
            _ = try restart.waitForLine("", seconds: 20)
            stop(context)
            let status = try restart.finish(seconds: 20, "the restart")
            try expect(status == .exited(5), "exit 5 became \(status)\(restart.complaint)")
            let first = Int(restart.outputText.split(separator: "\n").first ?? "") ?? 0
            try expect(
                first > 1 && first < goesOnBefore,
                "epoch \(epoch) went on with \(first), not before \(goesOnBefore)")
        }
    }

    private static func unknownJob(_ context: TestContext) throws {
        for arguments in [
            ["checkpoint", "nobody"], ["restart", "nobody"], ["kill", "nobody"],
            ["image", "verify", "nobody"], ["image", "show", "nobody"],
        ] {
            let result = try context.tool.command(arguments, seconds: 20)
            try expect(result.status.code != 0, "\(arguments) ended with 0")
            try expect(
                result.errors.contains("nobody"),
                "\(arguments) does not say which job it misses: \(result.lastWords)")
        }
    }

    /// A request that comes between the command's end and that of `run`: what is left to look at is
    /// not the job, and no checkpoint may be made of it.
    private static func jobThatHasEnded(_ context: TestContext) throws {
        try JobProgram.skipWithout(["python3"])
        let run = try context.runJob(
            "job", ["bash", "-c", "echo pid $$; while ! [ -e stop ]; do sleep 0.01; done; exit 5"])
        let pid = try run.waitForLine("pid ", seconds: 20).dropFirst("pid ".count)
        // The coordinator waits for those who have connected. A checkpoint request without options is
        // 0a 00 after its length (Sources/CoordinatorService/Schema).
        let late = """
            import os, socket, sys, time
            coordinator = socket.socket(socket.AF_UNIX)
            coordinator.connect(sys.argv[1])
            time.sleep(0.2)
            open("stop", "w")
            while os.path.exists("/proc/" + sys.argv[2]): time.sleep(0.01)
            coordinator.sendall(bytes([2, 0, 0, 0, 0x0a, 0]))
            print(coordinator.makefile("rb").read())
            """
        let door = context.tool.environment["FERMATA_RUNTIME_DIR"]! + "/job.sock"
        let request = try context.start("late", ["python3", "-c", late, door, String(pid)])
        _ = try request.finish(seconds: 20, "the late request")
        try expect(
            request.outputText.contains("the job has ended"),
            "the answer was \(request.outputText)\(request.complaint)")
        let status = try run.finish(seconds: 20, "fermata run")
        try expect(status == .exited(5), "exit 5 became \(status)\(run.complaint)")
        let epochs = try context.tool.epochs(of: "job")
        try expect(epochs.isEmpty, "there are checkpoints of a job that had ended: \(epochs)")
    }

    /// A client that connects and asks nothing does not keep `run` from ending.
    private static func silentClient(_ context: TestContext) throws {
        try JobProgram.skipWithout(["python3"])
        let run = try context.runJob("job", counter)
        _ = try run.waitForLine("5", seconds: 20)
        let silent = """
            import socket, sys, time
            coordinator = socket.socket(socket.AF_UNIX)
            coordinator.connect(sys.argv[1])
            print("connected", flush=True)
            time.sleep(100)
            """
        let door = context.tool.environment["FERMATA_RUNTIME_DIR"]! + "/job.sock"
        let client = try context.start("silent", ["python3", "-c", silent, door])
        _ = try client.waitForLine("connected", seconds: 20)
        stop(context)
        let status = try run.finish(seconds: 40, "fermata run")
        try expect(status == .exited(5), "exit 5 became \(status)\(run.complaint)")
        client.process.signal(SIGKILL)
        _ = try client.finish(seconds: 20, "the client")
    }

    /// A job that went on after its checkpoint and ended can be restarted at once: the connections that it
    /// closed in between hold its port (TIME_WAIT, and no SO_REUSEADDR), but not for its own restart.
    private static func afterItsOwnEnd(_ context: TestContext) throws {
        try JobProgram.skipWithout(["python3"])
        let program = """
            import os, socket, time
            server = socket.create_server(("127.0.0.1", 0), reuse_port=False)
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
            print("ready", flush=True)
            while not os.path.exists("go"): time.sleep(0.01)
            client = socket.create_connection(server.getsockname())
            accepted, _ = server.accept()
            accepted.sendall(b"all of it")
            accepted.close()
            text = client.makefile().read()
            assert text == "all of it", text
            print(text)
            """
        try endsTwice(context, program)
    }

    /// A job that cleans up behind itself was cut while it did (mpirun and its session folder):
    /// its open folder, its working directory and its FIFO are gone when the image starts.
    private static func afterRemoval(_ context: TestContext) throws {
        try JobProgram.skipWithout(["python3"])
        let program = """
            import os, shutil, time
            os.umask(0)
            os.makedirs("session/open/below")
            os.mkdir("session/open/below/here", 0o1730)
            os.mkfifo("session/open/fifo")
            inside = os.open("session/open/below", os.O_RDONLY)
            fifo = os.open("session/open/fifo", os.O_RDWR)
            top = os.getcwd()
            os.chdir("session/open/below/here")
            print("ready", flush=True)
            while not os.path.exists(top + "/go"): time.sleep(0.01)
            os.write(fifo, b"x")
            names = os.listdir(inside)
            mode = os.stat(".").st_mode
            shutil.rmtree(top + "/session")
            print(names, oct(mode), os.read(fifo, 1))
            """
        try endsTwice(context, program)
    }

    /// The program says "ready", waits for the file `go` and ends; so does its image when it has ended.
    private static func endsTwice(_ context: TestContext, _ program: String) throws {
        let run = try context.runJob("job", ["python3", "-c", program])
        _ = try run.waitForLine("ready", seconds: 20)
        try JobTests.checkpoint(context, run, mode: .stop, kill: false)
        touch(context.scratch + "/go")
        let status = try run.finish(seconds: 20, "fermata run")
        try expect(status == .exited(0), "\(status)\(run.complaint)")
        let restarted = try context.restart("job")
        let again = try restarted.finish(seconds: 30, "fermata restart")
        let output = run.outputText.dropFirst("ready\n".count)
        try expect(
            again == .exited(0) && restarted.outputText == output && !output.isEmpty,
            "\(again), '\(restarted.outputText)', not '\(output)'\(restarted.complaint)")
    }

    private static func preloaded(_ context: TestContext) throws {
        let run = try context.runJob("job", counter)
        _ = try run.waitForLine("5", seconds: 20)
        try JobTests.checkpoint(context, run, mode: .fork, kill: true)
        _ = try run.finish(seconds: 20, "'fermata run' after --kill")
        let restart = try context.restart("job", options: ["--preload"])
        _ = try restart.waitForLine("", seconds: 20)
        stop(context)
        let status = try restart.finish(seconds: 20, "the restart")
        try expect(status == .exited(5), "exit 5 became \(status)\(restart.complaint)")
    }
}
