import Foundation
import Glibc
import HarnessKit

/// Ends with EX_USAGE.
func refuse(_ message: String) -> Never {
    FileHandle.standardError.write(Data("fermata-tests: \(message)\n".utf8))
    exit(64)
}

/// Tests/Harness/Sources/fermata-tests/main.swift: four folders up is Tests, five the repository.
let repository = (1...5).reduce(URL(fileURLWithPath: #filePath)) { url, _ in
    url.deletingLastPathComponent()
}.path

let options: Options
do {
    options = try Options(Array(CommandLine.arguments.dropFirst()), repository: repository)
} catch {
    refuse("\(error)\n\(Options.usage)")
}
patience = options.patience
if options.help {
    print(Options.usage)
    exit(0)
}

let tests: [TestCase]
do {
    tests = try Catalogue.chosen(options)
} catch {
    refuse("--filter: \(error)")
}

if options.list {
    for test in tests {
        print("\(test.name)  [\(test.tags.joined(separator: " "))]")
    }
    exit(0)
}
if !options.plain && !FileManager.default.isExecutableFile(atPath: options.fermata) {
    let what = options.fermata.isEmpty ? "nothing given" : options.fermata
    refuse("no tool to test: \(what)\n\(Options.usage)")
}

if let why = Namespaces.enterIPC() {
    print("no IPC namespace of its own (\(why)): System V objects of killed jobs stay behind")
}
let leftovers = SharedMemoryLeftovers()

// A harness that is interrupted takes its jobs with it.
let interrupts = [SIGINT, SIGTERM].map { number in
    signal(number, SIG_IGN)
    let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
    let prefix = options.markPrefix
    source.setEventHandler {
        ChildProcess.startNoMore()
        ProcessTable.killAll(prefix: prefix)
        leftovers.remove()
        exit(128 + number)
    }
    source.resume()
    return source
}

let status = TestRunner(tests: tests, options: options).run()
leftovers.remove()
exit(status)
