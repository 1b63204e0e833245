import Foundation
import HarnessKit
import Synchronization

/// A real program as a witness: what to start, and what makes its output right.
struct JobProgram: Sendable {
    let name: String
    /// Gets the options, for the folders of built and of interpreted programs.
    let command: @Sendable (Places) -> [String]
    /// Of `fermata run`. A program that cannot do without them has its reference made with the tool.
    var options: [String] = []
    var environment: [String: String] = [:]
    /// Executables and files without which it is skipped.
    var needs: @Sendable (Places) -> [String] = { _ in [] }
    /// Whether it needs the library of the verbs, which the tool looks for beside itself.
    var needsVerbs = false
    /// Copied from Tests/Jobs into the working directory.
    var inputs: [String] = []
    /// Files in the working directory that must equal those of the undisturbed run.
    var results: [String] = []
    /// Takes out what legitimately differs between two runs (timings).
    var normalise: @Sendable (String) -> String = { $0 }
    /// Judges a run whose output differs every time. Replaces the comparison.
    var verdict: (@Sendable (_ scratch: String) throws -> Void)?
    /// It changes files in place. When it goes on after the cut, the files are ahead of the image
    /// and no restart from it can be right; so it is always killed at the cut.
    var changesFilesInPlace = false
    /// It prints nothing on the way, so instants are drawn by time.
    var isSilent = false
    /// Instants by time are drawn as if it took no longer than this: the reference may have been
    /// made while the machine was busy, and the run that is to be checkpointed may be much quicker.
    var seconds = Double.infinity
    var tags: [String] = []
    /// Random instants in the long form.
    var instantsInAll = 20
    /// Without `--all`, at most: fewer for variants of a program that has its three.
    var instantsInShort = Int.max
}

/// Where the things are that the programs consist of.
struct Places: Sendable {
    let built: String
    let sources: String
    /// Sources of the programs that call verbs themselves. They are built apart: all the others can
    /// be built without libibverbs-dev.
    let verbsSources: String
    private let tool: String

    init(_ options: Options) {
        built = options.programs
        sources = options.repository + "/Tests/Jobs"
        verbsSources = options.repository + "/Tests/Verbs"
        tool = options.fermata
    }

    var verbsBuilt: String { "\(built)/verbs" }

    /// Where the tool would find the library of the verbs; nil when it is at none of these places.
    var verbsLibrary: String? {
        let real = URL(fileURLWithPath: tool).resolvingSymlinksInPath().path
        let folder = (real as NSString).deletingLastPathComponent
        let places = ["", "/../lib/fermata", "/../../verbs/release", "/../verbs/release"]
        return places.map { "\(folder)\($0)/libibverbs.so.1" }
            .first { FileManager.default.isReadableFile(atPath: $0) }
    }
}

/// Builds the programs of Tests/Jobs, and those of Tests/Verbs, once per run of the harness.
enum BuiltPrograms {
    private static let problems = Mutex<[String: String?]>([:])

    static func make(_ context: TestContext) throws {
        let places = Places(context.options)
        try make(places.sources, "O=\(places.built)", context)
    }

    static func makeVerbs(_ context: TestContext) throws {
        let places = Places(context.options)
        try make(places.verbsSources, "OUT=\(places.verbsBuilt)", context)
    }

    private static func make(
        _ folder: String, _ target: String, _ context: TestContext
    ) throws {
        let problem = try problems.withLock { problems -> String? in
            if let known = problems[folder] { return known }
            let result = try context.tool.run(
                ["make", "-s", "-k", "-C", folder, target], seconds: 300)
            let problem = result.status == .exited(0) ? nil : result.lastWords
            problems[folder] = .some(problem)
            return problem
        }
        try expect(problem == nil, "make of \(folder): \(problem ?? "")")
    }
}

extension JobProgram {
    /// Skips when something is not installed; otherwise the working directory is ready.
    func prepare(_ context: TestContext, in directory: String) throws {
        let places = Places(context.options)
        if needsVerbs {
            try JobProgram.skipWithoutVerbs(places)
            try BuiltPrograms.makeVerbs(context)
        }
        try BuiltPrograms.make(context)
        let files = FileManager.default
        try JobProgram.skipWithout(needs(places))
        for input in inputs {
            let name = (input as NSString).lastPathComponent
            try files.copyItem(
                atPath: "\(places.sources)/\(input)", toPath: "\(directory)/\(name)")
        }
    }

    static func skipWithout(_ needs: [String]) throws {
        for need in needs where !exists(need) {
            throw TestSkip("\(need) is not there (see Tests/Jobs/packages.txt)")
        }
    }

    static func skipWithoutVerbs(_ places: Places) throws {
        let development = "/usr/lib/x86_64-linux-gnu/libibverbs.so"
        guard exists(development) else {
            throw TestSkip("\(development) is not there (see Tests/packages.txt)")
        }
        guard places.verbsLibrary != nil else {
            throw TestSkip("libibverbs.so.1 is not beside the tool (see Launchers/build-verbs)")
        }
    }

    private static func exists(_ need: String) -> Bool {
        if need.hasPrefix("/") {
            return FileManager.default.fileExists(atPath: need)
        }
        let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
        return path.split(separator: ":").contains {
            FileManager.default.isExecutableFile(atPath: "\($0)/\(need)")
        }
    }
}

/// What a program does when nobody disturbs it: made once and shared; without the tool, except for
/// a program that runs only with options of the tool.
struct Reference: Sendable {
    let seconds: Double
    let status: Int32
    let output: String
    let normalised: String
    let results: [String: Data]

    private final class Slot: Sendable {
        let value = Mutex<Result<Reference, any Error>?>(nil)
    }

    private static let slots = Mutex<[String: Slot]>([:])

    /// Tests of one program wait for each other here; those of different programs do not.
    static func of(_ program: JobProgram, _ context: TestContext) throws -> Reference {
        let slot = slots.withLock { slots -> Slot in
            if let slot = slots[program.name] { return slot }
            let slot = Slot()
            slots[program.name] = slot
            return slot
        }
        return try slot.value.withLock { value in
            if value == nil {
                value = Result { try record(program, context) }
            }
            return try value!.get()
        }
    }

    private static func record(
        _ program: JobProgram, _ context: TestContext
    ) throws -> Reference {
        let directory = context.root + "/reference"
        try FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: true)
        try program.prepare(context, in: directory)
        let tool = context.tool
        let start =
            program.options.isEmpty
            ? [] : tool.prefix + [tool.path, "run", "--job", "reference"] + program.options + ["--"]
        let run = try context.start(
            "reference", start + program.command(Places(context.options)),
            extra: program.environment, directory: directory)
        let status = try run.finish(seconds: 180, "the undisturbed run for reference")
        let seconds = now() - run.started
        let output = run.outputText
        try expect(status == .exited(0), "the undisturbed run: \(status)\(run.complaint)")
        try program.verdict?(directory)
        var results: [String: Data] = [:]
        for name in program.results {
            results[name] = readBytes("\(directory)/\(name)")
        }
        return Reference(
            seconds: seconds, status: status.code, output: output,
            normalised: program.normalise(output), results: results)
    }

    /// The result files of a run that came to its end.
    func compareResults(_ program: JobProgram, in directory: String) throws {
        for (name, expected) in results.sorted(by: { $0.key < $1.key }) {
            let got = readBytes("\(directory)/\(name)")
            try expect(
                got == expected,
                "the file \(name) differs from that of the undisturbed run "
                    + "(\(got.count) and \(expected.count) bytes)")
        }
        try program.verdict?(directory)
    }
}
