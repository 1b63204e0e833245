import Foundation
import HarnessKit

/// Group `verbs`, second part: what is destroyed, peers that die, and strangers.
enum VerbsTests {
    static func all(_ options: Options) -> [TestCase] {
        let rounds = options.all ? 200 : 20
        let services = ["send", "large", "write", "read", "atomic", "events", "uc", "ud"]
        return services.map { service in
            TestCase("verbs.death-\(service)", tags: ["verbs"]) { try death([service, "\(rounds)"], $0) }
        } + services.map { service in
            TestCase("verbs.death-apart-\(service)", tags: ["verbs"]) {
                try death([service, "\(rounds)", "apart"], $0)
            }
        } + edges.map { name, rounds in
            TestCase("verbs.edge-\(name)", tags: ["verbs"]) { try edge(name, options.all ? 10 * rounds : rounds, $0) }
        } + corners.map { name in
            TestCase("verbs.corner-\(name)", tags: ["verbs"]) { try corner(name, $0) }
        } + hostPrograms.map { name, server, client, sign in
            TestCase("verbs.hosts-\(name)", tags: ["verbs"]) { try hosts(server, client, sign, $0) }
        } + [
            TestCase("verbs.hosts-refused", tags: ["verbs"], refusedOverHosts),
            TestCase("verbs.modes", tags: ["verbs"], modes),
            TestCase("verbs.wrong-node", tags: ["verbs"], wrongNode),
            TestCase("verbs.death-rdma-cm", tags: ["verbs"], deathOfConnection),
            TestCase("verbs.late-acknowledgement", tags: ["verbs"], lateAcknowledgement),
            TestCase("verbs.strangers", tags: ["verbs"], strangers),
            TestCase("verbs.strangers-rdma-cm", tags: ["verbs"], strangersByAddress),
            TestCase("verbs.outsider", tags: ["verbs"], outsider),
            TestCase("verbs.intruder", tags: ["verbs"], intruder),
        ]
    }

    private static let options = ["--verbs", "soft"]

    private static func places(_ context: TestContext) throws -> Places {
        let places = Places(context.options)
        try JobProgram.skipWithoutVerbs(places)
        try BuiltPrograms.makeVerbs(context)
        return places
    }

    /// FERMATA_NODE that is no node, or not here (192.0.2.0/24 is nowhere: RFC 5737): the adapter does not open.
    private static func wrongNode(_ context: TestContext) throws {
        _ = try places(context)
        try JobProgram.skipWithout(["ibv_devinfo"])
        for (number, node) in ["x", "1@", "1@10.0.0", "1@192.0.2.7"].enumerated() {
            let run = try context.runJob(
                "job-\(number)", ["ibv_devinfo"], options: options, extra: ["FERMATA_NODE": node])
            let status = try run.finish(seconds: 20, "ibv_devinfo")
            try expect(
                status != .exited(0) && readText(run.errorPath).contains("Failed to get IB devices"),
                "\(node): \(status), '\(run.outputText)'\(run.complaint)")
        }
    }

    /// Name; server; client; what the client prints when it has worked.
    private static let hostPrograms = [
        ("rping", "rping -s -C 100 -V", "rping -c -a 10.77.0.1 -C 100 -V -v", "rdma-ping-99"),
        ("perftest", "ib_send_bw -R -n 100", "ib_send_bw -R -n 100 10.77.0.1", "65536      100"),
        ("ucmatose", "ucmatose -b 10.77.0.1", "ucmatose -s 10.77.0.1", "return status 0"),
        ("udaddy", "udaddy", "udaddy -s 10.77.0.1", "return status 0"),
        ("rstream", "rstream -S 65536", "rstream -s 10.77.0.1 -S 65536", "custom    64k"),
        ("mckey", "mckey -m 239.1.1.1 -b 10.77.0.1", "mckey -m 239.1.1.1 -s -b 10.77.0.2", "return status 0"),
        ("nobody", "rping -s -a 10.77.0.1 -C 1", "rping -c -a 10.77.0.9 -C 1 2>&1; true", "ADDR_ERROR"),
    ]

    /// Two network namespaces with nothing between them but virtual Ethernet.
    private static func hosts(
        _ server: String, _ client: String, _ sign: String, _ context: TestContext
    ) throws {
        let run = try onHosts(server, client, context)
        let status = try run.finish(seconds: 60, client)
        try expect(
            status == .exited(0) && run.outputText.contains(sign),
            "\(client): \(status), '\(run.outputText)'\(run.complaint)")
        try context.expectNothingLeft("after the job's end")
    }

    private static func onHosts(_ server: String, _ client: String, _ context: TestContext) throws -> RunningJob {
        let script = "\(try places(context).sources)/verbs/hosts.sh"
        try JobProgram.skipWithout(["ip", "nsenter"] + [server, client].map { $0.components(separatedBy: " ")[0] })
        return try context.runJob("job", ["bash", script, server, client], options: options)
    }

    /// A job in more than one network namespace cannot be checkpointed yet: it is told, and runs on.
    private static func refusedOverHosts(_ context: TestContext) throws {
        let run = try onHosts("rping -s", "rping -c -a 10.77.0.1 -C 100000000 -v", context)
        _ = try run.waitForLine("ping data", seconds: 20)
        let refused = try context.tool.command(["checkpoint", "job"])
        try expect(
            refused.status == .exited(77) && refused.errors.contains("namespace"),
            "checkpoint: \(refused.status), \(refused.lastWords)")
        let before = run.outputSize
        let runsOn = poll(seconds: 10) { run.outputSize > before ? true : nil }
        try expect(runsOn != nil, "the job does not run on\(run.complaint)")
        try context.killJob("job", run)
    }

    /// Who says nothing has an adapter, also in a program that wants another library first; --verbs off has
    /// none; --verbs hardware is refused by name.
    private static func modes(_ context: TestContext) throws {
        let program = try places(context).verbsBuilt + "/sanitized"
        for (mode, options, adapters) in [("auto", [], "1\n"), ("off", ["--verbs", "off"], "-1\n")] {
            let run = try context.runJob("job-\(mode)", [program], options: options)
            let status = try run.finish(seconds: 20, "the program")
            try expect(
                status == .exited(0) && run.outputText == adapters,
                "--verbs \(mode): \(status), '\(run.outputText)'\(run.complaint)")
        }
        let refused = try context.tool.command(["run", "--verbs", "hardware", "--", "true"])
        try expect(
            refused.status == .exited(69) && refused.errors.contains("adapter"),
            "--verbs hardware: \(refused.status), \(refused.lastWords)")
    }

    /// A process whose peer gets SIGKILL is told what an adapter would tell, in every round.
    private static func death(_ arguments: [String], _ context: TestContext) throws {
        let program = try places(context).verbsBuilt + "/death"
        let run = try context.runJob("job", [program] + arguments, options: options)
        let (what, rounds) = ("death \(arguments[0])", arguments[1])
        let status = try run.finish(seconds: 60 + (Double(rounds) ?? 0), what)
        try expect(
            status == .exited(0) && run.outputText == "\(rounds) rounds\n",
            "\(what): \(status), '\(run.outputText)'\(run.complaint)")
        try context.expectNothingLeft("after the job's end")
    }

    private static let corners = [
        "short", "places", "spin", "again", "crowd", "read", "early", "doze", "last", "gone", "relink",
    ]

    /// What once went wrong at an unlucky moment, brought about on purpose.
    private static func corner(_ name: String, _ context: TestContext) throws {
        try runs(["corners", name], saying: "\(name): all right\n", seconds: 100, context)
        try context.expectNothingLeft("after the job's end")
    }

    /// One of our programs, as a job, ends well and says just that.
    private static func runs(
        _ command: [String], saying words: String, seconds: Double, _ context: TestContext
    ) throws {
        let program = try places(context).verbsBuilt + "/" + command[0]
        let run = try context.runJob("job", [program] + command.dropFirst(), options: options)
        let status = try run.finish(seconds: seconds, "the program")
        try expect(
            status == .exited(0) && run.outputText == words,
            "\(status), '\(run.outputText)'\(run.complaint)")
    }

    /// Each side of an rdma_cm connection is told that the other has died, and ends, before the
    /// requests that it has under way are given up.
    private static func deathOfConnection(_ context: TestContext) throws {
        _ = try places(context)
        try JobProgram.skipWithout(["rping"])
        let script = """
            rping -s -a 127.0.0.1 -C 100000000 >server.out 2>&1 & server=$!
            sleep 0.5
            rping -c -a 127.0.0.1 -C 100000000 >client.out 2>&1 & client=$!
            sleep 0.5
            eval "kill -9 \\$$1; wait \\$$2"
            cat "$2.out"
            """
        for (victim, survivor) in [("server", "client"), ("client", "server")] {
            let run = try context.runJob(
                "job-\(victim)", ["bash", "-c", script, "script", victim, survivor], options: options)
            _ = try run.finish(seconds: 20, "the \(survivor), whose \(victim) was killed")
            try expect(
                run.outputText.contains("\(survivor) DISCONNECT EVENT"),
                "the \(survivor) was not told: '\(run.outputText)'\(run.complaint)")
        }
    }

    /// Cases of Tests/Verbs/edges.c, and how often each is tried.
    private static let edges = [
        ("flushed-send", 300), ("flushed-read", 200), ("reconnected", 200), ("received-at-the-end", 200),
        ("refused-access", 40), ("list-in-part", 100), ("nobody", 3), ("event-of-destroyed", 5000),
        ("impossible-memory", 1),
    ]

    private static func edge(_ name: String, _ rounds: Int, _ context: TestContext) throws {
        try runs(["edges", name, "\(rounds)"], saying: "\(rounds) rounds\n", seconds: 120, context)
    }

    /// What is destroyed while its event is not acknowledged yet waits for that, and ends then.
    private static func lateAcknowledgement(_ context: TestContext) throws {
        try runs(["acknowledge", "200"], saying: "200 rounds\n", seconds: 60, context)
    }

    /// Two jobs on one host use the same numbers, keys and LID, and never meet.
    private static func strangers(_ context: TestContext) throws {
        let program = try places(context).verbsBuilt + "/stranger"
        let one = try context.runJob("one", [program, "one", "other"], options: options)
        let other = try context.runJob("other", [program, "other", "one", "5"], options: options)
        for (name, run) in [("one", one), ("other", other)] {
            let status = try run.finish(seconds: 60, "job \(name)")
            try expect(
                status == .exited(0) && run.outputText == "nobody there, nothing came\n",
                "job \(name): \(status), '\(run.outputText)'\(run.complaint)")
        }
    }

    /// A server of one job does not hear a client of another, at the same address and port.
    private static func strangersByAddress(_ context: TestContext) throws {
        _ = try places(context)
        try JobProgram.skipWithout(["rping"])
        let server = try context.runJob(
            "server", ["rping", "-s", "-a", "127.0.0.1", "-C", "10"], options: options)
        let client = ["rping", "-c", "-a", "127.0.0.1", "-C", "10"]
        let stranger = try context.runJob("client", client, options: options)
        _ = try stranger.finish(seconds: 20, "the client")
        try expect(
            readText(stranger.errorPath).contains("RDMA_CM_EVENT_REJECTED"),
            "the client was not rejected: '\(stranger.outputText)'\(stranger.complaint)")
        let end = server.process.wait(seconds: 0.5)
        try expect(end == nil, "the other job's server heard it, and ended: \(end!)")
        try context.killJob("server", server)
    }

    /// A process that is not of the job gets nothing at its door, though it knows where it is.
    private static func outsider(_ context: TestContext) throws {
        guard let library = try places(context).verbsLibrary else { return }
        try JobProgram.skipWithout(["ibv_devinfo"])
        let look = "ibv_devinfo >/dev/null 2>&1; echo $?; "
        let job = try context.runJob(
            "job", ["bash", "-c", look + "echo \"door $FERMATA_VERBS\"; sleep 100"], options: options)
        let door = try job.waitForLine("door ", seconds: 20).dropFirst("door ".count)
        try expect(job.outputText.hasPrefix("0\n"), "inside the job: '\(job.outputText)'\(job.complaint)")
        try expect(FileManager.default.fileExists(atPath: String(door)), "there is no door \(door)")
        let outside = try context.start(
            "outsider", ["bash", "-c", look],
            extra: ["LD_PRELOAD": library, "FERMATA_VERBS": String(door)])
        _ = try outside.finish(seconds: 20, "the outsider")
        let told = outside.outputText
        try expect(told != "0\n" && told.hasSuffix("\n"), "the outsider got in: '\(told)'")
        try context.killJob("job", job)
    }

    /// Nobody without the job's key gets anywhere at the ports where its processes wait for peers on
    /// other nodes, and their traffic goes on.
    private static func intruder(_ context: TestContext) throws {
        let places = try places(context)
        let job = try context.runJob(
            "job", ["\(places.verbsBuilt)/fire", "rc", "100000", "apart"], options: options)
        _ = try poll(seconds: 60) { job.outputText.contains(" rounds\n") ? true : nil }
        let ports = ProcessTable.listeningPorts(prefix: context.mark, name: "fire")
        try expect(ports.count == 2, "the job's two processes listen at \(ports)")
        for port in ports {
            let run = try context.start("intruder-\(port)", ["\(places.verbsBuilt)/intruder", "\(port)"])
            let status = try run.finish(seconds: 60, "the intruder")
            try expect(
                status == .exited(0) && run.outputText == "turned away\n",
                "the intruder: \(status), '\(run.outputText)'\(run.complaint)")
        }
        let status = try job.finish(seconds: 120, "the job")
        try expect(
            status == .exited(0) && job.outputText.hasSuffix("rc: 100000 rounds, all right\n"),
            "the job: \(status), '\(job.outputText.suffix(200))'\(job.complaint)")
    }
}
