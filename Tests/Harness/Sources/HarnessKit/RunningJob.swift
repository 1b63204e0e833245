import Foundation
import Glibc

/// A `fermata run` or `fermata restart` (or the bare command, for references) in the background.
package final class RunningJob {
    package let process: ChildProcess
    package let outputPath: String
    package let errorPath: String
    package let started = now()

    package init(process: ChildProcess, outputPath: String, errorPath: String) {
        self.process = process
        self.outputPath = outputPath
        self.errorPath = errorPath
    }

    package var output: Data { readBytes(outputPath) }
    package var outputText: String { readText(outputPath) }
    package var outputSize: Int { fileSize(outputPath) }

    /// What it said on standard error, shortened, for the report of a failure.
    package var complaint: String {
        let lines = readText(errorPath).split(separator: "\n").suffix(4)
        return lines.isEmpty ? "" : "; stderr: " + lines.joined(separator: " | ")
    }

    /// Waits until a whole line starts with `beginning` and returns it.
    package func waitForLine(_ beginning: String, seconds: Double) throws -> String {
        let line = poll(seconds: seconds) { () -> String? in
            if let line = self.line(beginning) { return line }
            // Looked at in this order, a line that was written just before the end is not missed.
            return process.poll() != nil && self.line(beginning) == nil ? "" : nil
        }
        if let line, !line.isEmpty { return line }
        let end = process.poll().map { "it ended with \($0)" } ?? "it still runs"
        throw TestFailure(
            "no line '\(beginning)' in the output; \(end); output: "
                + "'\(outputText.suffix(300))'\(complaint)")
    }

    package func line(_ beginning: String) -> String? {
        let lines = outputText.split(separator: "\n", omittingEmptySubsequences: false)
        return lines.dropLast().first { $0.hasPrefix(beginning) }.map(String.init)
    }

    /// The end of the foreground process and of everything it printed.
    package func finish(seconds: Double, _ what: String) throws -> ExitStatus {
        guard let status = process.wait(seconds: seconds) else {
            let tail = outputText.split(separator: "\n").suffix(2).joined(separator: " | ")
            throw TestFailure(
                "\(what) did not end within \(Int(seconds * patience)) s; "
                    + "its output ends: '\(tail)'\(complaint)")
        }
        guard process.waitForOutput(seconds: 10) else {
            throw TestFailure("\(what) ended, but some process still holds its output")
        }
        return status
    }
}
