import Foundation
import Glibc
import HarnessKit

/// Group `faults`, third part: an image whose files are not as long as they were, or not there.
///
/// Every file of an epoch is damaged in turn and repaired afterwards. `image verify` must name it,
/// and `restart` must refuse, naming it too: a job that goes on with wrong bytes is the worst
/// outcome that there is.
enum ImageDamage {
    private enum Damage: String, CaseIterable {
        case truncate, empty, extend, remove
    }

    static func all(_ options: Options) -> [TestCase] {
        ImageFlips.all(options) + Damage.allCases.map { damage in
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
        let atCut = jobsFiles(context)
        let files = try filesOfTheEpoch(context)
        // All files are tried before the verdict: one report with everything that goes unnoticed.
        var problems: [String] = []
        for file in files {
            let original = readBytes(file)
            let what = try inflict(damage, on: file, original, context)
            do {
                try verifyNotices(file, what, context)
                try restartNotices(
                    file, what, printed: first, atCut: atCut, reference, context)
            } catch {
                problems.append("\(error)")
            }
            try original.write(to: URL(fileURLWithPath: file))
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

    static func filesOfTheEpoch(_ context: TestContext) throws -> [String] {
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

    static func verifyNotices(_ file: String, _ what: String, _ context: TestContext) throws {
        let name = (file as NSString).lastPathComponent
        let verify = try context.tool.verify("job")
        try expect(
            verify.status == .exited(ExitCode.ioError),
            "\(what): verify must end with 74, but: \(verify.lastWords)")
        try expect(
            (verify.errors + verify.output).contains(name),
            "\(what): verify does not name the file: \(verify.lastWords)")
    }

    /// The restart ends with an error that names the file, nothing that the job printed meanwhile
    /// is wrong, nothing is left of it, and the files of a job that never ran are what they were
    /// before or at the cut. True if it was noticed when the job already ran.
    @discardableResult
    static func restartNotices(
        _ file: String, _ what: String, printed first: String, atCut: [String: Data],
        _ reference: Reference, _ context: TestContext
    ) throws -> Bool {
        let name = (file as NSString).lastPathComponent
        let own = jobsFiles(context)
        let restart = try context.restart("job")
        defer { ProcessTable.killAll(prefix: context.mark) }
        let status = try JobTests.end(
            of: restart, within: 30 + 5 * reference.seconds, what: "\(what): the restart", context)
        let expected = reference.output.dropFirst(first.count)
        let printed = restart.outputText
        try expect(
            expected.hasPrefix(printed),
            "\(what): restart RAN WRONGLY: "
                + OutputComparison.difference(
                    printed, String(expected)))
        try expect(status.code != 0, "\(what): restart did not notice")
        let errors = readText(restart.errorPath)
        try expect(
            errors.contains(name),
            "\(what): restart does not name the file: \(status)\(restart.complaint)")
        try context.expectNothingLeft("\(what), after the restart's end")
        let late = errors.contains("the job was ended")
        if !late {
            let now = jobsFiles(context)
            let changed = own.keys.filter { own[$0] != now[$0] && atCut[$0] != now[$0] }.sorted()
            // Put right, so that the next position is judged by itself.
            for path in changed { try own[path]!.write(to: URL(fileURLWithPath: path)) }
            try expect(
                changed.isEmpty,
                "\(what): the refused restart destroyed files of the job: "
                    + changed.map { "\($0), it had \(own[$0]!.count) bytes" }
                    .joined(separator: ", "))
        }
        return late
    }

    /// What the job has in its working and its temporary directory.
    static func jobsFiles(_ context: TestContext) -> [String: Data] {
        var result: [String: Data] = [:]
        for folder in [context.scratch, context.root + "/tmp"] {
            let names = FileManager.default.enumerator(atPath: folder)?.allObjects ?? []
            for name in names.compactMap({ $0 as? String }) {
                var info = stat()
                let path = "\(folder)/\(name)"
                if lstat(path, &info) == 0 && info.st_mode & S_IFMT == S_IFREG {
                    result[path] = readBytes(path)
                }
            }
        }
        return result
    }
}
