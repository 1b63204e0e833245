import Foundation
import Glibc
import HarnessKit

/// Group `faults`, third part: an image that is not what was written.
///
/// Every file of an epoch is damaged in turn and repaired afterwards. `image verify` must name it,
/// and `restart` must refuse, naming it too: a job that goes on with wrong bytes is the worst
/// outcome that there is.
enum ImageDamage {
    private enum Damage: String, CaseIterable {
        case flip, truncate, empty, extend, remove
    }

    static func all(_ options: Options) -> [TestCase] {
        Damage.allCases.map { damage in
            TestCase("faults.image.\(damage.rawValue)", tags: ["faults", "image"]) {
                try everyFile(damage, $0)
            }
        }
    }

    private static func everyFile(_ damage: Damage, _ context: TestContext) throws {
        let program = PlainPrograms.selfCheck
        let reference = try Reference.of(program, context)
        try program.prepare(context, in: context.scratch)
        let run = try context.runJob("job", program.command(Places(context.options)))
        try Instant.bytes(reference.output.utf8.count / 2, then: 0).wait(for: run, reference)
        try JobTests.checkpoint(context, run, mode: .stop, kill: true)
        _ = try run.finish(seconds: 20, "'fermata run' after checkpoint --kill")
        try context.expectNothingLeft("after checkpoint --kill")
        let healthy = try context.tool.verify("job")
        try expect(
            healthy.status == .exited(0), "verify of a fresh image: \(healthy.lastWords)")

        let first = run.outputText
        let files = try filesOfTheEpoch(context)
        let times = damage == .flip ? max(1, context.options.instants) : 1
        // All files are tried before the verdict: one report with everything that goes unnoticed.
        var problems: [String] = []
        for file in files {
            for _ in 0..<times {
                let original = readBytes(file)
                let what = try inflict(damage, on: file, original, context)
                do {
                    try isNoticed(file, what, first, reference, context)
                } catch {
                    problems.append("\(error)")
                }
                try original.write(to: URL(fileURLWithPath: file))
            }
        }
        try expect(
            problems.isEmpty, "\(problems.count) problems: " + problems.joined(separator: "; "))
        // Repaired, it must work: otherwise the refusals above prove nothing.
        let restart = try context.restart("job")
        let status = try restart.finish(seconds: 60 + 15 * reference.seconds, "the restart")
        try expect(status == .exited(0), "the repaired image: \(status)\(restart.complaint)")
        try OutputComparison.exact(
            first: first, rest: restart.outputText, reference: reference.output)
    }

    private static func filesOfTheEpoch(_ context: TestContext) throws -> [String] {
        guard let epoch = try context.tool.epochs(of: "job").last else {
            throw TestFailure("list shows no epoch after a checkpoint")
        }
        let folder = "\(context.store)/job"
        let all = FileManager.default.enumerator(atPath: folder)?.compactMap { $0 as? String } ?? []
        let files = all.filter { path in
            var info = stat()
            return stat("\(folder)/\(path)", &info) == 0 && info.st_mode & S_IFMT == S_IFREG
        }
        // The first folder is the epoch's, however its number is written.
        let ofEpoch = files.filter { path in
            path.split(separator: "/").first.map { $0.filter(\.isNumber) }.flatMap { Int($0) }
                == epoch
        }
        let chosen = (ofEpoch.isEmpty ? files : ofEpoch).sorted().map { "\(folder)/\($0)" }
        try expect(!chosen.isEmpty, "no files below \(folder)")
        context.note("\(chosen.count) files")
        return chosen
    }

    private static func inflict(
        _ damage: Damage, on file: String, _ original: Data, _ context: TestContext
    ) throws -> String {
        let name = (file as NSString).lastPathComponent
        var data = original
        let what: String
        switch damage {
        case .flip where !original.isEmpty:
            let place = Int.random(in: 0..<data.count, using: &context.random)
            let bit = UInt8(1) << UInt8.random(in: 0..<8, using: &context.random)
            data[data.startIndex + place] ^= bit
            what = "\(name): byte \(place) of \(data.count) flipped"
        case .truncate where !original.isEmpty:
            let length = Int.random(in: 0..<data.count, using: &context.random)
            data = data.prefix(length)
            what = "\(name): cut to \(length) of \(original.count) bytes"
        case .empty where !original.isEmpty:
            data = Data()
            what = "\(name): emptied"
        case .remove:
            unlink(file)
            return "\(name): removed"
        default:
            data.append(0)
            what = "\(name): one byte longer than \(original.count)"
        }
        try data.write(to: URL(fileURLWithPath: file))
        return what
    }

    private static func isNoticed(
        _ file: String, _ what: String, _ first: String, _ reference: Reference,
        _ context: TestContext
    ) throws {
        let name = (file as NSString).lastPathComponent
        let verify = try context.tool.verify("job")
        try expect(verify.status.code != 0, "\(what): verify found nothing")
        try expect(
            (verify.errors + verify.output).contains(name),
            "\(what): verify does not name the file: \(verify.lastWords)")
        let restart = try context.restart("job")
        let status = restart.process.wait(seconds: 60 + 15 * reference.seconds)
        defer { ProcessTable.killAll(prefix: context.mark) }
        guard let status else { throw TestFailure("\(what): restart neither ran nor failed") }
        let expected = reference.output.dropFirst(first.count)
        let printed = restart.outputText
        try expect(
            expected.hasPrefix(printed),
            "\(what): restart RAN WRONGLY: "
                + OutputComparison.difference(
                    printed, String(expected)))
        try expect(status.code != 0, "\(what): restart did not notice")
        try expect(
            readText(restart.errorPath).contains(name),
            "\(what): restart does not name the file: \(status)\(restart.complaint)")
    }
}
