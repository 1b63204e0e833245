import Foundation
import Glibc
import HarnessKit

/// Group `faults`: one bit of an image is wrong.
///
/// How the positions are drawn: the files of the epoch are sorted by type, which is the beginning
/// of the name (`manifest`, `inventory`, `pages`, `shared`, `file`), and the types take turns, so
/// that a file of 400 bytes is met as often as one of 100 MiB. Then a file of the type, a byte of
/// the file and a bit of the byte, each evenly at random. With `--all` there are 200 positions in
/// sum.
///
/// `image verify` must name the file each time and find nothing once the bit is back; every third
/// position is also given to `restart`.
enum ImageFlips {
    static func all(_ options: Options) -> [TestCase] {
        let share = options.flips / 4
        return [
            test(PlainPrograms.selfCheck, ["file", "inventory", "manifest", "pages"], share),
            test(PlainPrograms.ballast, ["inventory", "manifest", "pages", "shared"], share),
            test(MPIPrograms.small, ["file", "inventory", "manifest", "pages"], share),
            TestCase("faults.image.flip.on-demand", tags: ["faults", "image"]) {
                try onDemand(share, $0)
            },
        ]
    }

    private static func test(
        _ program: JobProgram, _ types: Set<String>, _ times: Int
    ) -> TestCase {
        let tags = ["faults", "image"] + program.tags
        return TestCase("faults.image.flip.\(program.name)", tags: tags) {
            try everyType(program, types, times, $0)
        }
    }

    private static func everyType(
        _ program: JobProgram, _ wanted: Set<String>, _ times: Int, _ context: TestContext
    ) throws {
        let saved = try Saved(program, context)
        let types = Dictionary(grouping: saved.files) { file in
            String((file as NSString).lastPathComponent.prefix { $0.isLetter })
        }
        try expect(
            wanted.isSubset(of: types.keys),
            "the image must have files \(wanted.sorted()), it has \(types.keys.sorted())")
        let turns = types.keys.sorted()
        var problems: [String] = []
        for number in 0..<times {
            // Shifted by one each time round, so that `restart` meets every type.
            let type = turns[(number + number / turns.count) % turns.count]
            let file = types[type]!.sorted().randomElement(using: &context.random)!
            let place = Int.random(in: 0..<fileSize(file), using: &context.random)
            do {
                _ = try saved.flip(file, place, alsoRestart: number % 3 == 0)
            } catch {
                problems.append("\(error)")
            }
        }
        try saved.judge(problems)
    }

    /// Bytes that come in when the job already runs: the later three quarters of a large memory,
    /// which is streamed in from its beginning. The job must end before it sees one wrong byte.
    private static func onDemand(_ times: Int, _ context: TestContext) throws {
        let saved = try Saved(PlainPrograms.ballast, context)
        let largest = saved.files.max { fileSize($0) < fileSize($1) }!
        let size = fileSize(largest)
        var late = 0
        var problems: [String] = []
        for _ in 0..<times {
            let place = Int.random(in: size / 4..<size, using: &context.random)
            do {
                late += try saved.flip(largest, place, alsoRestart: true) ? 1 : 0
            } catch {
                problems.append("\(error)")
            }
        }
        context.note("\(late) of \(times) were noticed when the job ran")
        try saved.judge(problems)
        try expect(late > 0, "no byte came in on demand: the test has shown nothing")
    }
}

/// A job that was saved and killed, with its image.
private struct Saved {
    let files: [String]
    private let program: JobProgram
    private let reference: Reference
    private let context: TestContext
    private let printed: String
    /// The job's own files.
    private let atCut: [String: Data]

    init(_ program: JobProgram, _ context: TestContext) throws {
        self.program = program
        self.context = context
        reference = try Reference.of(program, context)
        try program.prepare(context, in: context.scratch)
        let run = try context.runJob(
            "job", program.command(Places(context.options)), extra: program.environment)
        try Instant.bytes(reference.output.utf8.count / 2, then: 0).wait(for: run, reference)
        try JobTests.checkpoint(context, run, mode: .stop, kill: true)
        _ = try run.finish(seconds: 20, "'fermata run' after checkpoint --kill")
        try context.expectNothingLeft("after checkpoint --kill")
        printed = run.outputText
        atCut = ImageDamage.jobsFiles(context)
        files = try ImageDamage.filesOfTheEpoch(context).filter { fileSize($0) > 0 }
        try expectIntact("a fresh image")
    }

    /// True if a restart noticed it when the job already ran.
    func flip(_ file: String, _ place: Int, alsoRestart: Bool) throws -> Bool {
        let bit = UInt8(1) << UInt8.random(in: 0..<8, using: &context.random)
        let name = (file as NSString).lastPathComponent
        let what = "\(name): byte \(place) of \(fileSize(file)) changed by \(bit)"
        try invert(bit, of: file, at: place)
        var late = false
        do {
            try ImageDamage.verifyNotices(file, what, context)
            if alsoRestart {
                late = try ImageDamage.restartNotices(
                    file, what, printed: printed, atCut: atCut, reference, context)
            }
        } catch {
            try invert(bit, of: file, at: place)
            throw error
        }
        try invert(bit, of: file, at: place)
        try expectIntact("\(what), and back")
        return late
    }

    /// In place: rewriting a large file for one byte would take longer than everything else.
    private func invert(_ bit: UInt8, of file: String, at place: Int) throws {
        let descriptor = open(file, O_RDWR | O_CLOEXEC)
        defer { close(descriptor) }
        var byte: UInt8 = 0
        guard pread(descriptor, &byte, 1, place) == 1 else {
            throw TestFailure("\(file): cannot read byte \(place)")
        }
        byte ^= bit
        guard pwrite(descriptor, &byte, 1, place) == 1 else {
            throw TestFailure("\(file): cannot write byte \(place)")
        }
    }

    private func expectIntact(_ what: String) throws {
        let result = try context.tool.verify("job")
        try expect(result.status == .exited(0), "verify of \(what): \(result.lastWords)")
    }

    /// Repaired, it must work: otherwise the refusals prove nothing.
    func judge(_ problems: [String]) throws {
        try expect(
            problems.isEmpty, "\(problems.count) problems: " + problems.joined(separator: "; "))
        let restart = try context.restart("job")
        let status = try restart.finish(seconds: 60 + 15 * reference.seconds, "the restart")
        try expect(status == .exited(0), "the repaired image: \(status)\(restart.complaint)")
        try OutputComparison.exact(
            first: printed, rest: restart.outputText, reference: reference.output)
        try reference.compareResults(program, in: context.scratch)
    }
}
