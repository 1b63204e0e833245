import Foundation
import Glibc
import HarnessKit

/// Groups `jobs` and `verbs`: real programs, checkpointed at random instants and compared bit for bit.
enum JobTests {
    static let programs = MPIPrograms.all + PlainPrograms.all

    static func all(_ options: Options) -> [TestCase] {
        if options.plain {
            return programs.map { program in
                TestCase("plain.\(program.name)", tags: ["plain"] + program.tags) {
                    try twice(program, $0)
                }
            }
        }
        return tests(of: programs, group: "jobs", options) + chains
            + tests(of: VerbsPrograms.all, group: "verbs", options)
    }

    /// Every program undisturbed, and at random instants.
    private static func tests(
        of programs: [JobProgram], group: String, _ options: Options
    ) -> [TestCase] {
        programs.flatMap { program -> [TestCase] in
            let tags = [group] + program.tags
            let name = "\(group).\(program.name)"
            let undisturbed = TestCase("\(name).undisturbed", tags: tags) {
                try underTheTool(program, $0)
            }
            let count =
                options.all
                ? max(options.instants, program.instantsInAll)
                : min(options.instants, program.instantsInShort)
            let instants = (1...max(1, count)).map { number in
                TestCase("\(name).instant-\(number)", tags: tags + ["instants"]) {
                    try instant(program, number, $0)
                }
            }
            return [undisturbed] + instants
        }
    }

    private static var chains: [TestCase] {
        programs.filter { ["stencil-openmpi-cma", "static"].contains($0.name) }.map { program in
            TestCase("jobs.\(program.name).chain", tags: ["jobs", "chain"] + program.tags) {
                try chain(program, links: 5, $0)
            }
        }
    }

    /// Without the tool: is the program itself as deterministic as the comparison needs?
    private static func twice(_ program: JobProgram, _ context: TestContext) throws {
        let reference = try Reference.of(program, context)
        try program.prepare(context, in: context.scratch)
        let run = try context.start(
            "plain", program.command(Places(context.options)), throughPipe: true,
            extra: program.environment)
        let status = try run.finish(seconds: 180, "the second run")
        let seconds = now() - run.started
        context.note(String(format: "%.1f s and %.1f s", reference.seconds, seconds))
        try expect(status == .exited(0), "the second run: \(status)\(run.complaint)")
        try compareWhole(program, reference, run.outputText, context)
        try context.expectNothingLeft("after both runs")
    }

    /// `fermata run` alone must be invisible.
    private static func underTheTool(_ program: JobProgram, _ context: TestContext) throws {
        let reference = try Reference.of(program, context)
        try program.prepare(context, in: context.scratch)
        let run = try context.runJob(
            "job", program.command(Places(context.options)), options: program.options,
            extra: program.environment)
        let status = try run.finish(seconds: limit(reference), "the job")
        try expect(status.code == reference.status, "\(status)\(run.complaint)")
        try compareWhole(program, reference, run.outputText, context)
        try context.expectNothingLeft("after the job's end")
    }

    private static func compareWhole(
        _ program: JobProgram, _ reference: Reference, _ output: String, _ context: TestContext
    ) throws {
        if program.verdict == nil {
            try OutputComparison.exact(
                first: program.normalise(output), rest: "", reference: reference.normalised)
        }
        try reference.compareResults(program, in: context.scratch)
    }

    private static func limit(_ reference: Reference) -> Double {
        60 + 15 * reference.seconds
    }

    // MARK: one instant

    private static func instant(
        _ program: JobProgram, _ number: Int, _ context: TestContext
    ) throws {
        let reference = try Reference.of(program, context)
        // Alternating, so that three instants already see both modes and both kinds of kill.
        let mode: CheckpointMode = number % 2 == 1 ? .stop : .fork
        let killAtCut = program.changesFilesInPlace || (number + 1) / 2 % 2 == 1
        let pipe = context.random.coin()
        context.note("--mode \(mode.rawValue)\(killAtCut ? " --kill" : "")")
        context.note(pipe ? "stdout is a pipe" : "stdout is a file")
        let run = try caught(program, reference, context, pipe: pipe, mode: mode, kill: killAtCut)
        if killAtCut {
            _ = try run.finish(seconds: 20, "'fermata run' after checkpoint --kill")
            try context.expectNothingLeft("after checkpoint --kill")
        } else {
            let extra = context.random.seconds(in: 0...0.3)
            context.note(String(format: "killed %.0f ms after the checkpoint", extra * 1000))
            pause(seconds: extra)
            try context.killJob("job", run)
        }
        let restart = try context.restart("job", throughPipe: pipe)
        let status = try end(of: restart, within: limit(reference), context)
        try expect(
            status.code == reference.status,
            "the restarted job: \(status)\(restart.complaint)")
        try compare(program, reference, run, restart, exact: killAtCut, context)
        try context.expectNothingLeft("after the restarted job's end")
    }

    /// Waits for a restarted job; one that hangs says where.
    static func end(
        of restart: RunningJob, within seconds: Double, what: String = "the restarted job",
        _ context: TestContext
    ) throws -> ExitStatus {
        do { return try restart.finish(seconds: seconds, what) } catch {
            throw TestFailure("\(error)\n    \(ProcessTable.whereabouts(prefix: context.mark))")
        }
    }

    /// A run with a checkpoint at an instant drawn for it. The reference may have been made while
    /// the machine was busy: when this run ends before its instant, another one is drawn, sooner.
    private static func caught(
        _ program: JobProgram, _ reference: Reference, _ context: TestContext, pipe: Bool,
        mode: CheckpointMode, kill: Bool
    ) throws -> RunningJob {
        var latest = 1.0
        while true {
            try program.prepare(context, in: context.scratch)
            let run = try context.runJob(
                "job", program.command(Places(context.options)), options: program.options,
                throughPipe: pipe, extra: program.environment)
            do {
                try Instant.draw(program, reference, context, latest: latest)
                    .wait(for: run, reference)
                try checkpoint(context, run, mode: mode, kill: kill)
                return run
            } catch let early as JobEnded where latest > 0.05 {
                context.note("\(early)")
                latest /= 3
                try context.emptyScratch()
            }
        }
    }

    private static func compare(
        _ program: JobProgram, _ reference: Reference, _ run: RunningJob, _ restart: RunningJob,
        exact: Bool, _ context: TestContext
    ) throws {
        if program.verdict == nil {
            let first = run.outputText
            let rest = restart.outputText
            context.note("first part \(first.utf8.count) bytes, restart \(rest.utf8.count)")
            if exact {
                try OutputComparison.exact(
                    first: program.normalise(first + rest), rest: "",
                    reference: reference.normalised)
            } else if reference.normalised == reference.output {
                try OutputComparison.overlapping(
                    first: first, rest: rest, reference: reference.normalised)
            } else {
                // The parts may end within a line that is to be taken out: compare what is whole.
                try OutputComparison.overlapping(
                    first: program.normalise(wholeLines(first)),
                    rest: program.normalise(rest), reference: reference.normalised)
            }
        }
        try reference.compareResults(program, in: context.scratch)
    }

    private static func wholeLines(_ text: String) -> String {
        guard let end = text.lastIndex(of: "\n") else { return "" }
        return String(text[...end])
    }

    /// "Temporary" invites to try again, and so it is tried again; but never silently.
    static func checkpoint(
        _ context: TestContext, _ run: RunningJob, name: String = "job", mode: CheckpointMode,
        kill: Bool
    ) throws {
        for attempt in 1...4 {
            let result = try context.tool.checkpoint(name, mode: mode, kill: kill)
            if result.status == .exited(0) {
                context.note(String(format: "checkpoint took %.0f ms", result.seconds * 1000))
                return
            }
            if result.status == .exited(ExitCode.unavailable), let end = run.process.wait(seconds: 5),
                end.code < 128
            {
                throw JobEnded()
            }
            let temporary = result.status == .exited(ExitCode.temporary)
            try expect(temporary && attempt < 4, "checkpoint: \(result.lastWords)")
            context.note("attempt \(attempt): \(result.lastWords)")
            pause(seconds: 0.1)
        }
    }

    // MARK: a chain

    /// Every restart is checkpointed again: what a restart makes must be as good as the original.
    private static func chain(
        _ program: JobProgram, links: Int, _ context: TestContext
    ) throws {
        let reference = try Reference.of(program, context)
        try program.prepare(context, in: context.scratch)
        let total = reference.output.utf8.count
        var run = try context.runJob(
            "job", program.command(Places(context.options)), extra: program.environment)
        var printed = ""
        for link in 1...links {
            let goal = total * link / (links + 2) - printed.utf8.count
            let arrived = poll(seconds: limit(reference)) {
                run.outputSize >= goal ? true : run.process.poll() != nil ? false : nil
            }
            try expect(
                arrived == true, "link \(link): the job stopped printing\(run.complaint)")
            pause(seconds: context.random.seconds(in: 0...0.05))
            let mode: CheckpointMode = link % 2 == 1 ? .stop : .fork
            try checkpoint(context, run, mode: mode, kill: true)
            _ = try run.finish(seconds: 20, "link \(link) after checkpoint --kill")
            try context.expectNothingLeft("link \(link), after checkpoint --kill")
            printed += run.outputText
            context.note("cut \(link) at byte \(printed.utf8.count)")
            run = try context.restart("job")
        }
        let status = try run.finish(seconds: limit(reference), "the last restart")
        try expect(status.code == reference.status, "the last restart: \(status)\(run.complaint)")
        try OutputComparison.exact(
            first: printed, rest: run.outputText, reference: reference.output)
        try reference.compareResults(program, in: context.scratch)
        try context.expectNothingLeft("after the last restart's end")
    }
}

/// The job came to its own end before it could be checkpointed.
struct JobEnded: Error, CustomStringConvertible {
    let description = "the job ended before it could be checkpointed"
}

/// When to checkpoint.
///
/// Mostly "after so many bytes of output", which is the same place in the program on a quick and on
/// a busy machine; sometimes a time soon after the start, when loaders and MPI_Init are at work and
/// nothing is printed yet.
enum Instant {
    case bytes(Int, then: Double)
    case time(Double)

    /// `latest`: the part of the program within which the instant lies.
    static func draw(
        _ program: JobProgram, _ reference: Reference, _ context: TestContext, latest: Double = 1
    ) -> Instant {
        let early = context.random.seconds(in: 0...1) < 0.2
        let whole = min(reference.seconds, program.seconds) * latest
        if program.isSilent {
            let part = context.random.seconds(in: 0.02...0.6)
            context.note(String(format: "at %.2f s", whole * part))
            return .time(whole * part)
        }
        if early {
            let seconds = context.random.seconds(in: 0...min(1, whole * 0.2))
            context.note(String(format: "at %.3f s", seconds))
            return .time(seconds)
        }
        let part = context.random.seconds(in: 0...0.85)
        let extra = context.random.seconds(in: 0...0.02)
        let bytes = Int(Double(reference.output.utf8.count) * part * latest)
        context.note(String(format: "after %d bytes and %.1f ms", bytes, extra * 1000))
        return .bytes(bytes, then: extra)
    }

    func wait(for run: RunningJob, _ reference: Reference) throws {
        switch self {
        case .time(let seconds):
            pause(seconds: seconds)
        case .bytes(let count, let extra):
            let arrived = poll(seconds: 60 + 15 * reference.seconds) {
                run.outputSize >= count ? true : run.process.poll() != nil ? false : nil
            }
            // It was seen too late: it had printed that much between the two looks, and ended.
            if arrived == false, run.outputSize >= count { throw JobEnded() }
            try expect(
                arrived == true,
                "the job never printed \(count) bytes; it printed \(run.outputSize)"
                    + run.complaint)
            pause(seconds: extra)
        }
    }
}
