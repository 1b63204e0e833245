// SPDX-License-Identifier: Apache-2.0
import AgentService
import ArgumentParser
import CheckpointImage
import CoordinatorService
import Glibc
import ImageStore
import Launching
import LinuxSystem
import ProcessSnapshot

/// The `fermata` command.
public struct Fermata: ParsableCommand {
    public static let configuration = CommandConfiguration(
        commandName: "fermata",
        abstract: "Checkpoint a running job and start it again.",
        discussion: """
            fermata run -- mpirun -np 4 ./app     start any command as a job
            fermata checkpoint JOB                one consistent image of everything
            fermata restart JOB                   start it again from its last image
            """,
        version: fermataVersion,
        subcommands: [
            Run.self, Checkpoint.self, Restart.self, Status.self, List.self, Kill.self, Image.self,
            Doctor.self,
        ])

    public init() {}

    /// Entry point; `inherited` must have been taken before anything opened a descriptor.
    public static func start(inherited: InheritedDescriptors) -> Never {
        Shared.inherited = inherited
        do {
            var command = try parseAsRoot()
            try command.run()
            Glibc.exit(0)
        } catch let failure as CommandFailure {
            Terminal.error(failure.text)
            Glibc.exit(failure.code)
        } catch let code as ExitCode {
            Glibc.exit(code.rawValue)
        } catch {
            exit(withError: error)
        }
    }
}

/// What belongs to the whole program run.
enum Shared {
    nonisolated(unsafe) static var inherited = InheritedDescriptors(slots: [0, 1, 2])

    static func environment(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
}

/// An error that ends the command: one sentence, and an exit status from sysexits(3).
struct CommandFailure: Error {
    let code: Int32
    let text: String

    static let usage: Int32 = 64, unreachable: Int32 = 69, software: Int32 = 70
    static let cannotCreate: Int32 = 73, inputOutput: Int32 = 74, temporary: Int32 = 75
    static let permission: Int32 = 77
}

/// Any error, as it ends the command.
func failure(_ error: any Error) -> CommandFailure {
    if let known = error as? CommandFailure { return known }
    let (code, text) = classify(error)
    return CommandFailure(code: code, text: text)
}

struct StoreOption: ParsableArguments {
    @Option(help: "Folder where checkpoints are kept. [FERMATA_STORE, ~/.local/share/fermata]")
    var store: String?

    var value: Store { Store.locate(store, environment: Shared.environment) }
}

struct JSONFlag: ParsableArguments {
    @Flag(help: "Print JSON.")
    var json = false
}

extension CaptureOptions.Mode: ExpressibleByArgument {}
extension VerbsMode: ExpressibleByArgument {}
extension LinkLayer: ExpressibleByArgument {}
extension CaptureOptions.FilePolicy: ExpressibleByArgument {}
