import Foundation
import HarnessKit

/// Group `verbs`: jobs whose processes talk by verbs over the soft fabric.
///
/// Without an adapter there is no run without the tool, so what their output is compared with is
/// that of a run with the tool that nobody disturbed. All of them judge themselves what they
/// received, and say so in their output.
enum VerbsPrograms {
    static let all =
        (fire + fireApart + connections + pingpongs + rping + [ucx] + parallel).map { program in
            var program = program
            if program.name.contains("-apart") { program.instantsInShort = 1 }
            return program
        }

    private static let options = ["--verbs", "soft"]

    private static let services = [
        "rc", "uc", "ud", "srq", "xrc", "events", "read", "write", "atomic", "imm",
    ]

    /// One program of ours per service: every request and every byte accounted for. The rounds
    /// make for a second, so that a hundred instants of each take half an hour.
    private static let fire = services.map { service in
        let rounds = ["ud": 150_000, "atomic": 200_000][service] ?? 50_000
        return fire(service, "fire-\(service)", ["\(rounds)"])
    }

    /// The same with nothing between the two processes but TCP, as between nodes.
    private static let fireApart = services.map { service in
        let rounds = ["ud": 60_000, "atomic": 75_000][service] ?? 8_000
        return fire(service, "fire-apart-\(service)", ["\(rounds)", "apart"])
    }

    private static func fire(_ service: String, _ name: String, _ arguments: [String]) -> JobProgram {
        JobProgram(
            name: name,
            command: { ["\($0.verbsBuilt)/fire", service] + arguments },
            options: options,
            needs: { ["\($0.verbsBuilt)/fire"] },
            needsVerbs: true,
            instantsInAll: 100)
    }

    /// Connections by rdma_cm, one after the other.
    private static let connections = [("connect", ["2000"]), ("connect-apart", ["1000", "apart"])].map { name, arguments in
        JobProgram(
            name: name,
            command: { ["\($0.verbsBuilt)/connect"] + arguments },
            options: options,
            needs: { ["\($0.verbsBuilt)/connect"] },
            needsVerbs: true,
            instantsInAll: 100)
    }

    /// Those that come with rdma-core: not written by us, and silent until the end.
    private static let pingpongs = [
        pingpong("rc", iterations: 800_000), pingpong("uc", iterations: 600_000),
        pingpong("ud", iterations: 900_000), pingpong("srq", iterations: 1_500_000),
        pingpong("rc", iterations: 800_000, on: "ethernet", ["-g", "0"]),
        pingpong("rc", iterations: 80_000, apart: true), pingpong("ud", iterations: 120_000, apart: true),
    ]

    private static func pingpong(
        _ service: String, iterations: Int, on layer: String = "infiniband", apart: Bool = false,
        _ arguments: [String] = []
    ) -> JobProgram {
        let program = "ibv_\(service)_pingpong"
        let words = [program, "-c", "-n", "\(iterations)"] + arguments
        return JobProgram(
            name: "pingpong-\(service)" + (layer == "ethernet" ? "-roce" : "") + (apart ? "-apart" : ""),
            command: { ["bash", "\($0.sources)/verbs/pingpong.sh"] + words },
            options: options + ["--link-layer", layer], environment: apart ? onTwoNodes : [:],
            needs: { _ in ["bash", "grep", program] },
            needsVerbs: true,
            normalise: withoutTimingsAndAddresses,
            isSilent: true,
            seconds: 1)
    }

    /// RDMA READ, WRITE and SEND over a connection that rdma_cm made.
    private static let rping = [rping("rping", 20000), rping("rping-apart", 10000, onTwoNodes)]

    private static func rping(
        _ name: String, _ count: Int, _ environment: [String: String] = [:]
    ) -> JobProgram {
        JobProgram(
            name: name,
            command: { ["bash", "\($0.sources)/verbs/rping.sh", "\(count)"] },
            options: options, environment: environment,
            needs: { _ in ["bash", "rping"] },
            needsVerbs: true,
            normalise: withoutWordsAboutTheEnd,
            isSilent: true,
            seconds: 1)
    }

    private static let ucx = JobProgram(
        name: "ucx-perftest",
        command: { ["bash", "\($0.sources)/verbs/ucx.sh", "tag_lat", "600000"] },
        options: options, environment: overVerbs,
        needs: { _ in ["bash", "ucx_perftest"] },
        needsVerbs: true,
        isSilent: true,
        seconds: 1)

    /// Parallel programs over each library that brings them to verbs. UCX takes what is nearest, so it
    /// is told what there is; MPICH would use shared memory of its own within a host.
    private static let parallel = [
        stencil(
            "openmpi-ucx",
            MPIPrograms.openMPI + ["--mca", "pml", "ucx"] + anyTransport, "openmpi", steps: 3000),
        stencil(
            "openmpi-openib",
            MPIPrograms.openMPI + ["--mca", "pml", "ob1"] + openib, "openmpi", steps: 4000),
        stencil(
            "openmpi-ofi",
            MPIPrograms.openMPI + [
                "--mca", "pml", "cm", "--mca", "mtl", "ofi",
                "--mca", "mtl_ofi_provider_include", "verbs;ofi_rxm",
            ], "openmpi", steps: 3000),
        stencil("mpich-ucx", ["mpiexec.mpich", "-n", "4"], "mpich", steps: 1000),
        apart("openmpi-ucx", ["--mca", "pml", "ucx"] + anyTransport, steps: 1500),
        apart("openmpi-openib", ["--mca", "pml", "ob1"] + openib, steps: 1500),
        JobProgram(
            name: "openshmem",
            command: {
                ["bash", "\($0.sources)/openshmem/diffusion.sh", "\($0.built)/diffusion.shmem", "1000", "4000"]
            },
            options: options, environment: overVerbs,
            needs: { ["oshrun", "\($0.built)/diffusion.shmem"] },
            needsVerbs: true),
    ]

    /// For the scripts: the server on one node, the client on another.
    private static let onTwoNodes = ["SERVER_NODE": "1", "CLIENT_NODE": "2"]

    private static let overVerbs = [
        "UCX_TLS": "rc,ud,self", "UCX_NET_DEVICES": "fermata0:1", "MPIR_CVAR_NOLOCAL": "1",
    ]

    private static let anyTransport = [
        "--mca", "pml_ucx_tls", "any", "--mca", "pml_ucx_devices", "any",
    ]
    private static let openib = ["--mca", "btl", "openib,self", "--mca", "btl_openib_allow_ib", "1"]

    /// Two ranks on each of two nodes.
    private static func apart(_ name: String, _ options: [String], steps: Int) -> JobProgram {
        JobProgram(
            name: "stencil-\(name)-apart",
            command: { places in
                let program = ["\(places.built)/stencil.openmpi", "384", "\(steps)"]
                let launcher = ["mpirun.openmpi", "--oversubscribe", "--allow-run-as-root"] + options
                return launcher + ["-np", "2", "-x", "FERMATA_NODE=1"] + program
                    + [":", "-np", "2", "-x", "FERMATA_NODE=2"] + program
            },
            options: Self.options, environment: overVerbs,
            needs: { ["mpirun.openmpi", "\($0.built)/stencil.openmpi"] },
            needsVerbs: true)
    }

    private static func stencil(
        _ name: String, _ launcher: [String], _ library: String, steps: Int
    ) -> JobProgram {
        JobProgram(
            name: "stencil-\(name)",
            command: { launcher + ["\($0.built)/stencil.\(library)", "384", "\(steps)"] },
            options: options, environment: overVerbs,
            needs: { [launcher[0], "\($0.built)/stencil.\(library)"] },
            needsVerbs: true)
    }

    /// Whether a side is still there to say that the other has left, and what it waited for then,
    /// differs from run to run.
    @Sendable private static func withoutWordsAboutTheEnd(_ text: String) -> String {
        text.split(separator: "\n").filter {
            !$0.contains("wait for") && !$0.contains("DISCONNECT EVENT")
        }.joined(separator: "\n")
    }

    /// Sequence numbers (PSN) are drawn at random; queue pairs and ports are numbered in the order
    /// in which the two sides come. What is left is how much came through, and every complaint.
    @Sendable private static func withoutTimingsAndAddresses(_ text: String) -> String {
        text.split(separator: "\n", omittingEmptySubsequences: false).map { line -> Substring in
            if let colon = line.range(of: " address:") { return line[..<colon.upperBound] }
            if let time = line.range(of: " in ") { return line[..<time.lowerBound] }
            return line
        }.joined(separator: "\n")
    }
}
