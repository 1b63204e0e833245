// SPDX-License-Identifier: Apache-2.0
import AgentService
import ArgumentParser
import CheckpointImage
import Glibc
import ImageStore
import LinuxSystem
import ProcessSnapshot
import SwiftProtobuf

struct Image: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Look into checkpoints.", subcommands: [Show.self, Verify.self, Core.self])
}

/// JOB[@EPOCH] in a store.
struct ImageReference: ParsableArguments {
    @Argument(help: "JOB, or JOB@EPOCH for another than the last checkpoint.")
    var checkpoint: String

    @OptionGroup var store: StoreOption

    func open() throws -> ImageReader { do { return try reader() } catch { throw failure(error) } }

    /// Throws what `ImageReader` and `Store.resolve` throw.
    func reader() throws -> ImageReader {
        let store = store.value
        let (job, epoch) = try store.resolve(checkpoint)
        return try ImageReader(store: store, job: job, epoch: epoch)
    }

    func inventory(_ reader: ImageReader) throws -> ImageInventory {
        do { return try reader.inventory() } catch { throw failure(error) }
    }
}

extension Image {
    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show what a checkpoint holds.")

        @OptionGroup var reference: ImageReference
        @OptionGroup var json: JSONFlag

        func run() throws {
            let reader = try reference.open()
            let inventory = try reference.inventory(reader)
            if json.json {
                var options = JSONEncodingOptions()
                options.preserveProtoFieldNames = true
                let (manifest, rest) = (
                    try reader.manifest.jsonString(options: options),
                    try inventory.jsonString(options: options)
                )
                return Terminal.print("{\"manifest\": \(manifest), \"inventory\": \(rest)}")
            }
            let m = reader.manifest
            Terminal.print("\(m.job)@\(m.epoch)  \(Terminal.line(m.command.joined(separator: " ")))")
            Terminal.print(
                "  made by Fermata \(m.toolVersion), mode \(m.mode), on \(inventory.host.hostname) (Linux \(inventory.host.kernelRelease), \(inventory.host.cpuModel))"
            )
            Terminal.print(
                "  stall \(Terminal.duration(m.timings.stallNs)), durable \(Terminal.duration(m.timings.durableNs)), \(Terminal.bytes(m.files.reduce(0) { $0 + $1.sizeBytes })) in \(m.files.count) files"
            )
            var rows = [
                ["  PID", "PARENT", "GROUP", "SESSION", "THREADS", "FILES", "MEMORY", "COMMAND"]
            ]
            for p in inventory.processes {
                let stored = p.memory.mappings.reduce(UInt64(0)) { total, m in
                    total + Extent.pages(m.extents) * UInt64(Format.pageBytes)
                }
                rows.append([
                    "  \(p.pid)", "\(p.parentPid)", "\(p.group)", "\(p.session)", "\(p.threads.count)",
                    "\(p.descriptors.count)", Terminal.bytes(stored),
                    p.zombie ? "(zombie) \(p.threads[0].name)" : p.command,
                ])
            }
            Terminal.print(Terminal.table(rows))
            showFiles(inventory)
        }

        private func showFiles(_ inventory: ImageInventory) {
            Terminal.print(
                "  \(inventory.openFiles.count) open files, \(inventory.sharedMemory.count) shared memory objects, \(inventory.savedFiles.count) saved files, \(inventory.backingFiles.count) mapped files"
            )
            for file in inventory.savedFiles {
                Terminal.print(
                    "    saved \(file.path)\(file.deleted ? " (deleted)" : "") \(Terminal.bytes(file.sizeBytes))\(file.sizeOnly ? ", size only" : "")"
                )
            }
        }
    }

    struct Verify: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Read every byte of a checkpoint and compare checksums.")

        @OptionGroup var reference: ImageReference
        @OptionGroup var json: JSONFlag

        private struct Report: Encodable {
            struct Problem: Encodable { let file: String; let reason: String }
            let intact: Bool
            let bytes: UInt64
            let problems: [Problem]
        }

        func run() throws {
            guard let reader = try open() else { throw ExitCode(CommandFailure.inputOutput) }
            var done: UInt64 = 0
            let total = reader.manifest.files.reduce(0) { $0 + $1.sizeBytes }
            let start = Clock.monotonic()
            let problems = reader.verify { n in
                done += n
                Terminal.progress(
                    "verify  \(Terminal.bytes(done)) of \(Terminal.bytes(total))  \(Terminal.rate(done, UInt64(Clock.monotonic() - start)))"
                )
            }
            Terminal.clearProgress()
            if json.json {
                try printJSON(
                    Report(
                        intact: problems.isEmpty, bytes: total,
                        problems: problems.map { .init(file: $0.file, reason: $0.reason) }))
            } else if problems.isEmpty {
                Terminal.print(
                    "\(reader.manifest.job)@\(reader.manifest.epoch): intact, \(Terminal.bytes(total)) in \(reader.manifest.files.count) files"
                )
            }
            guard !problems.isEmpty else { return }
            if !json.json { for problem in problems { Terminal.error(problem.description) } }
            throw ExitCode(CommandFailure.inputOutput)
        }

        /// nil: the manifest is damaged, and the report says so.
        private func open() throws -> ImageReader? {
            guard json.json else { return try reference.open() }
            do { return try reference.reader() } catch let error as ImageError {
                let problem = Report.Problem(file: error.file, reason: error.reason)
                try printJSON(Report(intact: false, bytes: 0, problems: [problem]))
                return nil
            } catch { throw failure(error) }
        }
    }

    struct Core: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Write a process of a checkpoint as an ELF core file, for gdb.")

        @OptionGroup var reference: ImageReference

        @Option(help: "Which process; default: the one the command started.")
        var pid: UInt32?

        @Option(name: .shortAndLong, help: "File to write; default: core.PID.")
        var output: String?

        func run() throws {
            let reader = try reference.open()
            let inventory = try reference.inventory(reader)
            let wanted =
                pid ?? (inventory.rootPid != 0 ? inventory.rootPid : inventory.processes.first?.pid ?? 0)
            guard let process = inventory.processes.first(where: { $0.pid == wanted && !$0.zombie })
            else {
                throw CommandFailure(
                    code: CommandFailure.usage,
                    text:
                        "no process \(wanted) in this checkpoint; there are \(inventory.processes.map { String($0.pid) }.joined(separator: ", "))"
                )
            }
            let path = output ?? "core.\(wanted)"
            do {
                try CoreFile(reader: reader, inventory: inventory, process: process).write(to: path)
            } catch { throw failure(error) }
            Terminal.print("\(path): process \(wanted), \(process.command)")
        }
    }
}
