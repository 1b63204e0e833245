import Foundation
import Glibc

package enum CheckpointMode: String, CaseIterable, Sendable {
    case stop
    case fork
}

/// What a command that came to its end printed and returned.
package struct CommandResult {
    package let status: ExitStatus
    package let output: String
    package let errors: String
    package let seconds: Double

    /// The last words, for the report of a failure.
    package var lastWords: String {
        let text = errors.isEmpty ? output : errors
        let lines = text.split(separator: "\n").suffix(3).joined(separator: " | ")
        return lines.isEmpty ? "\(status), no message" : "\(status): \(lines)"
    }
}

/// The tool under test, with the store and the runtime folder of one test.
package struct FermataTool {
    package var path: String
    package let directory: String
    package var environment: [String: String]
    /// Where the output of the commands goes.
    let logs: String
    /// Put before every command: `nsenter …` for tests in a mount namespace of their own.
    package var prefix: [String] = []

    /// Runs one command of the tool to its end.
    package func command(_ arguments: [String], seconds: Double = 60) throws -> CommandResult {
        try run(prefix + [path] + arguments, seconds: seconds)
    }

    package func run(_ arguments: [String], seconds: Double = 60) throws -> CommandResult {
        let name = "\(logs)/command-\(UInt32.random(in: 0 ... .max))"
        let child = try ChildProcess(
            arguments, environment: environment, directory: directory,
            output: .file(name + ".out"), errors: .file(name + ".err"))
        let start = now()
        guard let status = child.wait(seconds: seconds) else {
            child.signal(SIGKILL)
            let shown = arguments.dropFirst(prefix.count).joined(separator: " ")
            throw TestFailure("'\(shown)' was not done after \(Int(seconds * patience)) s")
        }
        return CommandResult(
            status: status, output: readText(name + ".out"), errors: readText(name + ".err"),
            seconds: now() - start)
    }

    package func checkpoint(
        _ job: String, mode: CheckpointMode, kill: Bool, seconds: Double = 60
    ) throws -> CommandResult {
        try command(
            ["checkpoint", job, "--mode", mode.rawValue] + (kill ? ["--kill"] : []),
            seconds: seconds)
    }

    /// The job's row, or nil when the tool knows no such job (now).
    package func status(of job: String) throws -> StatusDocument.Job? {
        let result = try command(["status", "--json"], seconds: 20)
        guard result.status == .exited(0) else { return nil }
        let document = try decode(StatusDocument.self, result.output, command: "status --json")
        return document.jobs.first { $0.job == job }
    }

    /// The epochs of a job that `list` shows, in rising order.
    package func epochs(of job: String) throws -> [Int] {
        let result = try command(["list", "--json"], seconds: 20)
        try expect(result.status == .exited(0), "fermata list: \(result.lastWords)")
        return try decode(ListDocument.self, result.output, command: "list --json")
            .checkpoints.filter { $0.job == job }.map(\.epoch).sorted()
    }

    package func verify(_ job: String, epoch: Int? = nil) throws -> CommandResult {
        try command(["image", "verify", epoch.map { "\(job)@\($0)" } ?? job], seconds: 60)
    }

    private func decode<Document: Decodable>(
        _ type: Document.Type, _ text: String, command: String
    ) throws -> Document {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        do {
            return try decoder.decode(type, from: Data(text.utf8))
        } catch {
            throw TestFailure("fermata \(command) printed something else: \(text.prefix(300))")
        }
    }
}

package func readText(_ path: String) -> String {
    String(decoding: readBytes(path), as: UTF8.self)
}

package func readBytes(_ path: String) -> Data {
    (try? Data(contentsOf: URL(fileURLWithPath: path))) ?? Data()
}

/// The size of a file without reading it.
package func fileSize(_ path: String) -> Int {
    var info = stat()
    return stat(path, &info) == 0 ? Int(info.st_size) : 0
}

/// Makes an empty file: the signals that programs and tests give each other.
package func touch(_ path: String) {
    close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o644))
}
