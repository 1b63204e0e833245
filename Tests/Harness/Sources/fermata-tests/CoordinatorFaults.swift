import Foundation
import Glibc
import HarnessKit

/// Group `faults`, first part: the coordinator dies in the middle of a checkpoint, at each of its
/// steps.
///
/// The promise: the job never stays frozen, its output is complete, and there is either a whole
/// epoch or none.
enum CoordinatorFaults {
    /// The steps of a checkpoint, in their order. FERMATA_FAULT names one of them, or `after-…`.
    private static let steps = [
        "prepare", "quiesce", "drain", "freeze", "capture", "resume", "persist", "commit",
    ]

    static func all(_ options: Options) -> [TestCase] {
        let points = steps.flatMap { [$0, "after-\($0)"] }
        // One process with threads, or a tree of processes with pipes.
        return points.flatMap { point in
            [
                test(point, .stop, PlainPrograms.selfCheck), test(point, .fork, PlainPrograms.python),
            ]
        } + [test("fork", .fork, PlainPrograms.selfCheck)]  // while the copy is being made
    }

    private static func test(
        _ point: String, _ mode: CheckpointMode, _ program: JobProgram
    ) -> TestCase {
        TestCase("faults.coordinator.\(point).\(mode.rawValue)", tags: ["faults"]) {
            try dies(at: point, mode, program, $0)
        }
    }

    private static func begin(
        _ program: JobProgram, _ reference: Reference, _ context: TestContext,
        extra: [String: String]
    ) throws -> (run: RunningJob, coordinator: pid_t) {
        try program.prepare(context, in: context.scratch)
        // To a file: nobody is left to relay anything once the coordinator is dead.
        let run = try context.runJob(
            "job", program.command(Places(context.options)),
            extra: program.environment.merging(extra) { $1 })
        let part = context.random.seconds(in: 0.05...0.35)
        let bytes = Int(Double(reference.output.utf8.count) * part)
        try Instant.bytes(bytes, then: 0).wait(for: run, reference)
        guard let pid = try context.tool.status(of: "job")?.coordinatorPid, pid > 1 else {
            throw TestFailure("status names no coordinator_pid")
        }
        return (run, pid)
    }

    static func isAlive(_ pid: pid_t) -> Bool {
        ProcessTable.entry(of: pid).map { !$0.isGone } ?? false
    }

    private static func dies(
        at point: String, _ mode: CheckpointMode, _ program: JobProgram, _ context: TestContext
    ) throws {
        let reference = try Reference.of(program, context)
        let (run, coordinator) = try begin(
            program, reference, context, extra: ["FERMATA_FAULT": point])
        let result = try context.tool.checkpoint("job", mode: mode, kill: false)
        context.note("checkpoint: \(result.lastWords)")
        let dead = poll(seconds: 10) { isAlive(coordinator) ? nil : true }
        try expect(
            dead == true,
            "the coordinator is alive: the point '\(point)' was never reached "
                + "(checkpoint: \(result.lastWords))")
        let mayBeCommitted = point == "after-commit"
        try expect(
            mayBeCommitted || result.status.code != 0,
            "the coordinator died before the commit, but the checkpoint ended with 0")
        try jobSurvives(run, program, reference, context)
        let epochs = try wholeEpochs(context)
        if mayBeCommitted {
            try expect(epochs.count == 1, "one checkpoint was committed, list shows \(epochs)")
        } else {
            try expect(epochs.isEmpty, "nothing was committed, but list shows \(epochs)")
        }
        try restartsFromLast(epochs, program, reference, context)
    }

    /// Nothing stopped, nothing traced, and the right end.
    private static func jobSurvives(
        _ run: RunningJob, _ program: JobProgram, _ reference: Reference, _ context: TestContext
    ) throws {
        var held: [ProcessEntry] = []
        let free = poll(seconds: 20) { () -> Bool? in
            held = ProcessTable.marked(prefix: context.mark).filter(\.isHeld)
            return held.isEmpty ? true : nil
        }
        let shown = held.map { "\($0.name) (pid \($0.pid), \($0.state), tracer \($0.tracer))" }
        try expect(free == true, "still held after 20 s: \(shown.joined(separator: ", "))")
        let ended = poll(seconds: 60 + 15 * reference.seconds) {
            ProcessTable.marked(prefix: context.mark).isEmpty ? true : nil
        }
        try expect(
            ended == true || run.outputText == reference.output,
            "the job did not come to its end; its output stops after "
                + "\(run.outputSize) of \(reference.output.utf8.count) bytes")
        try OutputComparison.exact(
            first: run.outputText, rest: "", reference: reference.output)
        try reference.compareResults(program, in: context.scratch)
        try context.expectNothingLeft("after the job's end")
    }

    static func wholeEpochs(
        _ context: TestContext, of job: String = "job"
    ) throws -> [Int] {
        let epochs = try context.tool.epochs(of: job)
        for epoch in epochs {
            let result = try context.tool.verify(job, epoch: epoch)
            try expect(
                result.status == .exited(0), "verify of epoch \(epoch): \(result.lastWords)")
        }
        return epochs
    }

    private static func restartsFromLast(
        _ epochs: [Int], _ program: JobProgram, _ reference: Reference, _ context: TestContext
    ) throws {
        guard let last = epochs.last else { return }
        let restart = try context.restart("job", epoch: last)
        let status = try restart.finish(seconds: 60 + 15 * reference.seconds, "the restart")
        try expect(status == .exited(0), "the restart: \(status)\(restart.complaint)")
        try expect(!restart.outputText.isEmpty, "the restart printed nothing")
        try OutputComparison.overlapping(
            first: reference.output, rest: restart.outputText, reference: reference.output)
        try reference.compareResults(program, in: context.scratch)
        try context.expectNothingLeft("after the restart's end")
    }
}
