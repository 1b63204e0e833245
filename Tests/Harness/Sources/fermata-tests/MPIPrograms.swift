import Foundation
import HarnessKit

/// MPI jobs: two libraries, three transports, five applications. All wrap the launcher, so that the
/// launcher, its daemons and the ranks are one job.
enum MPIPrograms {
    static let all = stencils + [hpcc, lammps, ring]

    /// As root Open MPI wants to be told so; four ranks on fewer cores must yield.
    static let openMPI = [
        "mpirun.openmpi", "-np", "4", "--oversubscribe", "--allow-run-as-root",
    ]

    /// The stencil over each way in which messages travel on one host.
    private static let stencils: [JobProgram] = [
        // Shared memory; large messages by process_vm_readv of the peer's memory (CMA).
        stencil("openmpi-cma", library: "openmpi", openMPI + ["--mca", "btl", "vader,self"], 1200),
        // Shared memory only: everything is copied through the segments in /dev/shm.
        stencil(
            "openmpi-shm", library: "openmpi",
            openMPI + [
                "--mca", "btl", "vader,self",
                "--mca", "btl_vader_single_copy_mechanism", "none",
            ], 1200),
        stencil("openmpi-tcp", library: "openmpi", openMPI + ["--mca", "btl", "tcp,self"], 1000),
        // MPICH spins where Open MPI yields: fewer steps for the same time.
        stencil("mpich", library: "mpich", ["mpiexec.mpich", "-n", "4"], 200),
    ]

    /// Launcher and two ranks with the library's threads: small enough to be restarted often, and
    /// running for some seconds, so that a slow machine's checkpoints do not come too late.
    static let small = JobProgram(
        name: "stencil-small",
        command: {
            [
                "mpirun.openmpi", "-np", "2", "--oversubscribe", "--allow-run-as-root",
                "--mca", "btl", "vader,self", "\($0.built)/stencil.openmpi", "384", "24000",
            ]
        },
        needs: { ["mpirun.openmpi", "\($0.built)/stencil.openmpi"] },
        tags: ["mpi", "openmpi"])

    private static func stencil(
        _ name: String, library: String, _ launcher: [String], _ steps: Int
    ) -> JobProgram {
        JobProgram(
            name: "stencil-\(name)",
            command: { launcher + ["\($0.built)/stencil.\(library)", "1536", "\(steps)"] },
            needs: { [launcher[0], "\($0.built)/stencil.\(library)"] },
            tags: ["mpi", library])
    }

    /// The HPC Challenge: every number in its report is a timing, but it verifies its own results.
    private static let hpcc = JobProgram(
        name: "hpcc",
        command: { _ in openMPI + ["hpcc"] },
        environment: ["OMP_NUM_THREADS": "1"],
        needs: { _ in ["mpirun.openmpi", "hpcc"] },
        inputs: ["hpcc/hpccinf.txt"],
        verdict: { scratch in
            let report = readText(scratch + "/hpccoutf.txt")
            let lines = report.split(separator: "\n")
            try expect(lines.contains("Success=1"), "hpccoutf.txt has no line 'Success=1'")
            for line in lines where line.contains("FAILED") || line.contains("failed residual") {
                let none = line.trimmingCharacters(in: .whitespaces).hasPrefix("0 tests")
                try expect(none, "hpccoutf.txt: \(line)")
            }
        },
        isSilent: true,
        tags: ["mpi", "openmpi"])

    private static let lammps = JobProgram(
        name: "lammps",
        command: { _ in
            openMPI + ["lmp", "-in", "in.melt", "-var", "steps", "3000", "-log", "none"]
        },
        environment: ["OMP_NUM_THREADS": "1"],
        needs: { _ in ["mpirun.openmpi", "lmp"] },
        inputs: ["lammps/in.melt"],
        normalise: withoutLammpsTimings,
        tags: ["mpi", "openmpi"])

    /// All lines but those that contain a time.
    @Sendable private static func withoutLammpsTimings(_ text: String) -> String {
        let timed = [
            "Loop time", "Performance:", "Total wall time", "Pair ", "Neigh ", "Comm ", "Output ",
            "Modify ", "Other ", "  create_atoms CPU",
        ]
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        return lines.filter { line in
            !timed.contains { line.hasPrefix($0) } && !line.contains("% CPU use")
        }.joined(separator: "\n")
    }

    private static let ring = JobProgram(
        name: "mpi4py",
        // Debian's own Python: mpi4py belongs to it, not to the first python3 in PATH.
        command: { openMPI + ["/usr/bin/python3", "\($0.sources)/mpi4py/ring.py", "4000"] },
        needs: { _ in ["mpirun.openmpi", "/usr/lib/python3/dist-packages/mpi4py"] },
        tags: ["mpi", "openmpi"])
}
