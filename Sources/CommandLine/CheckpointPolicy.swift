// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import ProcessSnapshot

/// How checkpoints of a job are taken that nobody says more about: options of `run` and `restart`.
struct CheckpointPolicy: ParsableArguments {
    @Option(help: "Make a checkpoint every so many seconds; 0: only when asked. [FERMATA_INTERVAL]")
    var interval: Double?

    @Option(
        help:
            "How checkpoints are taken unless they say otherwise: fork (the job goes on while memory is written) or stop."
    )
    var mode: CaptureOptions.Mode = .fork

    @Option(
        help:
            "Files the job has open for writing: copy them with the image, keep their size only (truncate), or leave them alone (none)."
    )
    var files: CaptureOptions.FilePolicy = .copy

    @Option(help: "Committed checkpoints to keep; 0: all.")
    var keep = 0

    func validate() throws {
        guard keep >= 0 else { throw ValidationError("--keep \(keep): a number from 0 on") }
        _ = try seconds()
    }

    var options: CaptureOptions { CaptureOptions(mode: mode, files: files) }

    /// Between checkpoints that are made without being asked for; 0: none.
    func seconds() throws -> Double {
        let (name, text) =
            interval.map { ("--interval", "\($0)") }
            ?? ("FERMATA_INTERVAL", Shared.environment("FERMATA_INTERVAL") ?? "")
        if text.isEmpty { return 0 }
        let longest = 1e9
        guard let value = Double(text), (0...longest).contains(value) else {
            throw ValidationError("\(name) \(text): seconds, from 0 to \(Int(longest))")
        }
        return value
    }
}
