import Foundation
import Glibc
import HarnessKit

/// Group `faults`: the coordinator is killed at random instants of a checkpoint.
///
/// A series is one job and several kills. A job whose coordinator is dead runs on, but nobody can
/// save it any more, so after each kill the job is ended too and restarted from its last epoch,
/// under the coordinator that dies next. That way every kill but the first also meets a job that a
/// restart has made.
///
/// The instants are drawn evenly from the length of an undisturbed checkpoint of the same job,
/// which each series measures in both modes, and a fifth more: before the first step, at any step,
/// and just after the end.
enum CoordinatorInstants {
    static func all(_ options: Options) -> [TestCase] {
        // One process with threads; Python with children, pipes and commands; launcher and ranks.
        let plan: [(program: JobProgram, series: Int, kills: Int)] =
            options.all
            ? [
                (PlainPrograms.selfCheck, 6, options.kills / 10),
                (PlainPrograms.python, 2, options.kills / 10),
                (MPIPrograms.small, 2, options.kills / 10),
            ]
            : [
                (PlainPrograms.selfCheck, 1, options.kills - 3), (PlainPrograms.python, 1, 2),
                (MPIPrograms.small, 1, 1),
            ]
        return plan.flatMap { part in
            (1...part.series).map { number in
                TestCase(
                    "faults.coordinator.random.\(part.program.name)-\(number)",
                    tags: ["faults", "instants"] + part.program.tags
                ) { context in
                    var series = try Series(part.program, context)
                    try series.run(kills: part.kills)
                }
            }
        }
    }
}

/// One job, killed coordinators one after the other.
private struct Series {
    private let program: JobProgram
    private let reference: Reference
    private let context: TestContext
    /// Its own: `fermata kill` looks for the processes of a job without coordinator by name.
    private let name: String
    /// Seconds of the last undisturbed checkpoint in each mode.
    private var lengths: [CheckpointMode: Double] = [:]
    private var epochs: [Int] = []
    private var committed = 0

    init(_ program: JobProgram, _ context: TestContext) throws {
        self.program = program
        self.context = context
        name = "job-\(context.mark)1"
        reference = try Reference.of(program, context)
        try program.prepare(context, in: context.scratch)
    }

    mutating func run(kills: Int) throws {
        context.note("seed \(context.options.seed)")
        // To a file: nobody is left to relay anything once the coordinator is dead.
        var job = try context.runJob(
            name, program.command(Places(context.options)), extra: program.environment)
        try Instant.bytes(reference.output.utf8.count / 10, then: 0).wait(for: job, reference)
        for mode in CheckpointMode.allCases {
            try measure(mode, job)
        }
        let firstMode = context.random.coin() ? 0 : 1
        for number in 0..<kills {
            let mode: CheckpointMode = (number + firstMode) % 2 == 0 ? .stop : .fork
            try kill(number + 1, mode, job)
            try endJob(job)
            job = try restart(after: job)
            // A job that was restarted takes another time than one that was started.
            if number == 0 {
                for mode in CheckpointMode.allCases {
                    try measure(mode, job)
                }
            }
        }
        context.note("\(committed) of \(kills) were committed before the kill")
        try measure(.stop, job)
        try expectNoRemains()
        try endsRightly(job)
    }

    private mutating func measure(_ mode: CheckpointMode, _ job: RunningJob) throws {
        let begin = now()
        try JobTests.checkpoint(context, job, name: name, mode: mode, kill: false)
        lengths[mode] = now() - begin
        epochs = try context.tool.epochs(of: name)
    }

    // MARK: one kill

    private mutating func kill(
        _ number: Int, _ mode: CheckpointMode, _ job: RunningJob
    ) throws {
        pause(seconds: context.random.seconds(in: 0...0.03))
        let length = lengths[mode]!
        let delay = context.random.seconds(in: 0...1.2 * length)
        let what = String(
            format: "kill %d, mode %@, at %.1f ms of %.1f", number, mode.rawValue, delay * 1000,
            length * 1000)
        context.note(what)
        guard let coordinator = try context.tool.status(of: name)?.coordinatorPid, coordinator > 1
        else {
            throw TestFailure("\(what): status names no coordinator_pid\(job.complaint)")
        }
        let before = Set(ProcessTable.marked(prefix: context.mark).map(\.pid))
        let begin = now()
        let command = try context.start(
            "checkpoint", [context.tool.path, "checkpoint", name, "--mode", mode.rawValue])
        pause(seconds: begin + delay - now())
        Glibc.kill(coordinator, SIGKILL)
        let size = job.outputSize
        guard let status = command.process.wait(seconds: 20) else {
            throw TestFailure("\(what): 'fermata checkpoint' waits for a dead coordinator")
        }
        _ = job.process.wait(seconds: 20)
        try expect(!CoordinatorFaults.isAlive(coordinator), "\(what): it lives on")
        try expectNothingHeld(what)
        try expectNothingNew(what, before)
        try expectProgress(what, job, from: size)
        try checkEpochs(what, status)
    }

    private func expectNothingHeld(_ what: String) throws {
        var held: [ProcessEntry] = []
        let free = poll(seconds: 5) { () -> Bool? in
            held = ProcessTable.marked(prefix: context.mark).filter(\.isHeld)
            return held.isEmpty ? true : nil
        }
        let shown = held.map { "\($0.name) (pid \($0.pid), \($0.state), tracer \($0.tracer))" }
        try expect(free == true, "\(what): still held: \(shown.joined(separator: ", "))")
    }

    /// No helper and no frozen copy stays: what was not there before and is there at every look.
    /// The job's own short-lived commands come and go.
    private func expectNothingNew(_ what: String, _ before: Set<pid_t>) throws {
        var stays: [pid_t: ProcessEntry]?
        let none = poll(seconds: 5) { () -> Bool? in
            let present = ProcessTable.marked(prefix: context.mark)
            let fresh = present.filter { !before.contains($0.pid) }
            let entries = Dictionary(fresh.map { ($0.pid, $0) }) { first, _ in first }
            stays = stays.map { $0.filter { entries[$0.key] != nil } } ?? entries
            return stays!.isEmpty ? true : nil
        }
        let shown = (stays ?? [:]).values.map { "\($0.name) (pid \($0.pid), \($0.state))" }
        try expect(none == true, "\(what): left behind: \(shown.joined(separator: ", "))")
    }

    /// The job goes on to print, and prints what it would print undisturbed.
    private func expectProgress(_ what: String, _ job: RunningJob, from size: Int) throws {
        let grown = poll(seconds: 20) { job.outputSize > size ? true : nil }
        let ended = reference.output.hasSuffix(job.outputText) && !job.outputText.isEmpty
        try expect(
            grown == true || ended,
            "\(what): the job printed nothing more after \(size) bytes; "
                + "\(ProcessTable.marked(prefix: context.mark).count) of its processes are there")
        try expect(
            Data(reference.output.utf8).range(of: job.output) != nil,
            "\(what): the output is no part of that of the undisturbed run: it ends "
                + "'\(job.outputText.suffix(200))'")
    }

    /// Whole epochs only, none lost, and at most the one that was being made is new.
    private mutating func checkEpochs(_ what: String, _ status: ExitStatus) throws {
        let listed = try CoordinatorFaults.wholeEpochs(context, of: name)
        try expect(
            listed.starts(with: epochs) && listed.count <= epochs.count + 1,
            "\(what): epochs \(epochs) were there before, now list shows \(listed)")
        try expect(
            status != .exited(0) || listed.count == epochs.count + 1,
            "\(what): the checkpoint ended with 0, but list shows \(listed)")
        committed += listed.count - epochs.count
        epochs = listed
    }

    // MARK: what follows a kill

    /// By the tool's own command or by SIGKILL: both must find all of a job without coordinator.
    private mutating func endJob(_ job: RunningJob) throws {
        if context.random.coin() {
            let result = try context.tool.command(["kill", name], seconds: 20)
            // Short jobs may have come to their end by themselves.
            try expect(
                result.status == .exited(0) || ProcessTable.marked(prefix: context.mark).isEmpty,
                "fermata kill: \(result.lastWords)")
        } else {
            ProcessTable.killAll(prefix: context.mark)
        }
        try context.expectNothingLeft("after the job was killed")
    }

    /// From the last epoch, unless little of the program is left: then from the first one.
    ///
    /// `--preload`: memory that a dead coordinator has not brought in yet is lost, and the job with
    /// it; what is shown here is a job that can go on.
    private func restart(after job: RunningJob) throws -> RunningJob {
        let lines = job.outputText.split(separator: "\n", omittingEmptySubsequences: false)
        let line = lines.dropLast().last.map(String.init) ?? ""
        let place = Data(reference.output.utf8).range(of: Data(line.utf8))?.lowerBound ?? 0
        let isLate = place > reference.output.utf8.count * 6 / 10
        let restarted = try context.restart(
            name, epoch: isLate ? epochs.first : epochs.last, options: ["--preload"])
        try context.waitUntilRunning(name, restarted)
        return restarted
    }

    /// The next checkpoint removes what the attempts before it left in the store.
    private func expectNoRemains() throws {
        let folder = "\(context.store)/\(name)"
        let names = try FileManager.default.contentsOfDirectory(atPath: folder)
        let remains = names.filter { access("\(folder)/\($0)/manifest", F_OK) != 0 }
        try expect(remains.isEmpty, "after a whole checkpoint, remains of others: \(remains)")
    }

    private mutating func endsRightly(_ job: RunningJob) throws {
        try context.killJob(name, job)
        let restart = try context.restart(name)
        let status = try restart.finish(seconds: 60 + 15 * reference.seconds, "the last restart")
        try expect(status == .exited(0), "the last restart: \(status)\(restart.complaint)")
        try expect(!restart.outputText.isEmpty, "the last restart printed nothing")
        try OutputComparison.overlapping(
            first: reference.output, rest: restart.outputText, reference: reference.output)
        try reference.compareResults(program, in: context.scratch)
        try context.expectNothingLeft("after the last restart's end")
    }
}
