import Foundation
import HarnessKit

/// Group `verbs`, third part: every program of others that docs/verbs.md lists, once, undisturbed. What they
/// print are mostly times, so they are judged by how they end; those that are also checkpointed are in
/// `VerbsPrograms`.
enum VerbsPairs {
    static let all = alone.map { command in
        TestCase("verbs.program-\(name(command))", tags: ["verbs"]) { try run(alone: command, $0) }
    } + (symmetric + pairs + ucx).map { server, client in
        TestCase("verbs.program-\(name(client))", tags: ["verbs"]) { try run(server, client, $0) }
    }

    private static let here = "127.0.0.1"

    private static let alone = ["ibv_devices", "ibv_devinfo -v", "ucx_info -d", "fi_info -p verbs"]

    /// Server and client differ in that the client is told where the server is.
    private static let symmetric = [
        "ibv_rc_pingpong -e", "ibv_uc_pingpong -s 1000000 -n 100", "ibv_ud_pingpong -e -c", "ibv_srq_pingpong -e",
        "ib_send_bw", "ib_send_bw -c UC", "ib_send_bw -c UD", "ib_send_bw -c XRC", "ib_send_bw --use-srq -q 4",
        "ib_send_bw -e -b", "ib_send_bw -R", "ib_send_bw -a -n 50", "ib_send_lat", "ib_send_lat -I 64 -s 64",
        "ib_send_lat -c UC", "ib_send_lat -c UD", "ib_send_lat -c XRC", "ib_send_lat -e", "ib_send_lat -R",
        "ib_write_bw", "ib_write_bw -c UC -b", "ib_write_bw -c XRC", "ib_write_bw -R -q 4", "ib_write_lat",
        "ib_write_lat -c UC -I 32 -s 32", "ib_read_bw", "ib_read_bw -e -R", "ib_read_lat", "ib_atomic_bw",
        "ib_atomic_bw -A CMP_AND_SWAP", "ib_atomic_lat", "fi_pingpong -p verbs -e msg",
        "fi_pingpong -p verbs -e dgram", "fi_pingpong -p 'verbs;ofi_rxm' -e rdm", "fi_pingpong -p 'verbs;ofi_rxd' -e rdm",
    ].map { ($0, "\($0) \(here)") }

    private static let pairs = [
        ("ibv_xsrq_pingpong -c 1", "ibv_xsrq_pingpong \(here)"),
        ("rping -s -C 100 -V", "rping -c -a \(here) -C 100 -V"),
        ("ucmatose", "ucmatose -s \(here)"), ("udaddy", "udaddy -s \(here)"), ("cmtime", "cmtime -s \(here)"),
        ("rcopy", "rcopy /usr/bin/bash \(here):copied"),
        ("rstream -S 65536", "rstream -S 65536 -s \(here)"), ("riostream -S 65536", "riostream -S 65536 -s \(here)"),
        ("udpong -S 512 -C 1000 -b \(here)", "udpong -S 512 -C 1000 -s \(here)"),
        ("mckey -m 239.1.1.1 -b \(here)", "mckey -m 239.1.1.1 -s -b \(here)"),
        ("rdma_server", "rdma_client -s \(here)"), ("rdma_xserver", "rdma_xclient -s \(here)"),
        ("qperf", "qperf \(here) -t 1 rc_lat ud_lat rc_rdma_write_bw"),
    ]

    private static let ucx = ["rc", "ud"].flatMap { transport in
        [
            "tag_lat", "tag_bw", "ucp_put_lat", "ucp_get", "ucp_add", "ucp_fadd", "ucp_swap", "ucp_cswap", "stream_lat",
            "stream_bw", "tag_lat -E sleep",
        ].map { test in
            let program = "env UCX_TLS=\(transport),self ucx_perftest"
            return (program, "\(program) \(here) -n 2000 -t \(test)")
        }
    }

    /// What tests are called by: the words that are no address.
    private static func name(_ command: String) -> String {
        let words = command.split { " =,;:'/".contains($0) }.map(String.init)
        return words.filter { !["env", "UCX_TLS", "self", here].contains($0) }.joined(separator: "-")
    }

    private static func prepare(_ commands: [String], _ context: TestContext) throws -> Places {
        let places = Places(context.options)
        try JobProgram.skipWithoutVerbs(places)
        try JobProgram.skipWithout(commands.map { command in
            command.split(separator: " ").first { $0 != "env" && !$0.contains("=") }.map(String.init) ?? command
        })
        return places
    }

    private static func run(alone command: String, _ context: TestContext) throws {
        _ = try prepare([command], context)
        let run = try context.runJob("job", ["sh", "-c", command], options: ["--verbs", "soft"])
        let status = try run.finish(seconds: 30, command)
        try expect(
            status == .exited(0) && run.outputText.contains("fermata0"),
            "\(command): \(status), '\(run.outputText.suffix(500))'\(run.complaint)")
    }

    private static func run(_ server: String, _ client: String, _ context: TestContext) throws {
        let script = "\(try prepare([server, client], context).sources)/verbs/pair.sh"
        let run = try context.runJob("job", ["bash", script, server, client], options: ["--verbs", "soft"])
        let status = try run.finish(seconds: 60, client)
        try expect(
            status == .exited(0), "\(client): \(status), '\(run.outputText.suffix(1000))'\(run.complaint)")
        try context.expectNothingLeft("after the job's end")
    }
}
