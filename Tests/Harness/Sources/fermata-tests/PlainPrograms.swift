import Foundation
import HarnessKit

/// Jobs without MPI: runtimes that do uncommon things with memory, threads and signals.
enum PlainPrograms {
    static let all = [
        openMP, python, pipeline, processes, sqlite, java, node, go, selfCheck, jemalloc, malloc,
    ]

    /// Small and quick to restart: the job of the fault tests.
    static let selfCheck = JobProgram(
        name: "static",
        command: { ["\($0.built)/selfcheck", "800"] },
        needs: { ["\($0.built)/selfcheck"] },
        results: ["state.bin"])

    private static let openMP = JobProgram(
        name: "openmp",
        command: { ["\($0.built)/tasks", "900"] },
        environment: ["OMP_NUM_THREADS": "4"],
        needs: { ["\($0.built)/tasks"] })

    static let python = JobProgram(
        name: "python",
        command: { ["/usr/bin/python3", "\($0.sources)/python/workers.py", "4000"] },
        needs: { _ in ["/usr/bin/python3"] })

    /// Much memory for its work: most of it comes in after a restart has let it run.
    static let ballast = JobProgram(
        name: "ballast",
        command: { ["/usr/bin/python3", "\($0.sources)/python/ballast.py", "256", "300"] },
        needs: { _ in ["/usr/bin/python3"] })

    private static let pipeline = JobProgram(
        name: "pipeline",
        command: { ["bash", "\($0.sources)/shell/pipeline.sh", "250000"] },
        needs: { _ in ["bash", "awk", "sed"] },
        results: ["digest.txt"])

    private static let processes = JobProgram(
        name: "processes",
        command: { ["bash", "\($0.sources)/shell/processes.sh", "500"] },
        needs: { _ in ["bash"] })

    private static let sqlite = JobProgram(
        name: "sqlite",
        command: { ["bash", "\($0.sources)/sqlite/transactions.sh", "1500"] },
        needs: { _ in ["sqlite3", "stdbuf"] },
        results: ["dump.sql"],
        changesFilesInPlace: true)

    private static let java = JobProgram(
        name: "java",
        command: {
            [
                "java", "-Xmx256m", "-XX:+UseG1GC", "-XX:ParallelGCThreads=4",
                "-XX:ConcGCThreads=2", "-cp", "\($0.built)/java", "Churn", "1000",
            ]
        },
        needs: { ["java", "\($0.built)/java/Churn.class"] })

    private static let node = JobProgram(
        name: "node",
        command: { ["node", "\($0.sources)/node/loopback.js", "450"] },
        needs: { _ in ["node"] })

    private static let go = JobProgram(
        name: "go",
        command: { ["\($0.built)/gochurn", "250"] },
        needs: { ["\($0.built)/gochurn"] })

    /// Short decay times: jemalloc purges all the time instead of after ten seconds.
    private static let jemalloc = JobProgram(
        name: "jemalloc",
        command: { ["\($0.built)/churn", "280"] },
        environment: [
            "LD_PRELOAD": "libjemalloc.so.2",
            "MALLOC_CONF": "dirty_decay_ms:20,muzzy_decay_ms:20,background_thread:true",
        ],
        needs: { ["\($0.built)/churn", "/usr/lib/x86_64-linux-gnu/libjemalloc.so.2"] })

    /// The same under the C library's malloc, which grows by brk and gives back by munmap.
    private static let malloc = JobProgram(
        name: "malloc",
        command: { ["\($0.built)/churn", "700"] },
        needs: { ["\($0.built)/churn"] })
}
