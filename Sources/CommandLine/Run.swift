// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import CoordinatorService
import Glibc
import ImageStore
import Launching
import LinuxSystem
import ProcessSnapshot

struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Start a command as a job.",
        discussion: """
            Terminal, input, output, signals and exit status pass through as if Fermata were not \
            there. Nothing is injected into the job before its first checkpoint, but for the \
            library of --verbs. Exit status: the command's, or 128 plus the signal that ended it.
            """)

    @Option(help: "Name of the job. [FERMATA_JOB_NAME, else the command's name and this process's id]")
    var job: String?

    @OptionGroup var store: StoreOption

    @OptionGroup var policy: CheckpointPolicy

    @Option(
        help:
            "Verbs (InfiniBand) of the job. soft: an adapter without hardware, preloaded into every process; off: what the machine has; auto: soft, unless the machine has an adapter or the library is not built."
    )
    var verbs: VerbsMode = .auto

    @Option(
        help: "What the soft adapter is connected to: infiniband (the default), or ethernet (RoCE v2)."
    )
    var linkLayer: LinkLayer?

    @Argument(parsing: .postTerminator, help: "The command and its arguments, after --.")
    var command: [String] = []

    func validate() throws {
        guard let first = command.first, !first.isEmpty else {
            throw ValidationError("no command; write: fermata run -- COMMAND…")
        }
        guard linkLayer == nil || verbs == .soft || verbs == .auto else {
            throw ValidationError("--link-layer says what the adapter of --verbs soft is; add --verbs soft")
        }
    }

    func run() throws {
        let name = try JobName.choose(job ?? Shared.environment("FERMATA_JOB_NAME"), command: command[0])
        let claim = try JobName.claim(name, remedy: ", or choose another name with --job")
        let library = try interposer()
        let variables = library.map { verbsVariables($0, claim) } ?? []
        let status: Int32
        do {
            let configuration = Supervisor.Configuration(
                claim: claim, command: command, store: store.value, options: policy.options,
                intervalSeconds: try policy.seconds(), keep: policy.keep, hasVerbs: library != nil)
            let signals = try Supervisor.blockSignals()
            let hasTerminal = (0...2).contains { isatty($0) == 1 }
            let relay = hasTerminal ? try TerminalRelay.create() : nil
            let launch = try NativeLaunch(command: command, job: name, terminal: relay, variables: variables)
            let supervisor = try Supervisor(
                configuration, source: .native(root: launch.root, identity: launch.identity),
                inherited: Shared.inherited,
                terminal: relay, signals: signals)
            launch.go()
            status = supervisor.run()
        } catch let error as SystemError {
            throw CommandFailure(code: CommandFailure.cannotCreate, text: "\(error)")
        }
        throw ExitCode(status)
    }

    private func interposer() throws -> String? {
        // Whoever says what the adapter is wants one.
        let wanted = verbs == .auto && linkLayer != nil ? .soft : verbs
        do { return try wanted.library() } catch {
            throw CommandFailure(code: CommandFailure.unreachable, text: "\(error)")
        }
    }

    /// What the job's environment needs for its verbs. A program built with -fsanitize=address would
    /// not start with a library before its runtime.
    private func verbsVariables(_ library: String, _ claim: JobClaim) -> [String] {
        let before = Shared.environment("LD_PRELOAD").map { ":" + $0 } ?? ""
        let sanitizer = Shared.environment("ASAN_OPTIONS").map { ":" + $0 } ?? ""
        return [
            "LD_PRELOAD=\(library)\(before)", "ASAN_OPTIONS=verify_asan_link_order=0\(sanitizer)",
            "FERMATA_VERBS=\(claim.runtime.verbs(claim.job))",
            "FERMATA_LINK_LAYER=\((linkLayer ?? .infiniband).rawValue)",
        ]
    }
}

/// Names of jobs: they become file names.
enum JobName {
    static func choose(_ wanted: String?, command: String) throws -> String {
        if let wanted {
            guard isValid(wanted) else {
                throw CommandFailure(
                    code: CommandFailure.usage,
                    text:
                        "\(wanted) is no job name: use letters, digits, '.', '_' and '-', not starting with '.', 80 at most"
                )
            }
            return wanted
        }
        let base = command.split(separator: "/").last.map(String.init) ?? "job"
        let clean = String(base.map { isValid(String($0)) || $0 == "." ? $0 : "_" })
        return (clean.hasPrefix(".") ? "job" + clean : clean) + "-\(getpid())"
    }

    private static func isValid(_ name: String) -> Bool {
        !name.isEmpty && name.utf8.count <= 80 && !name.hasPrefix(".")
            && name.utf8.allSatisfy {
                (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0)
                    || $0 == 45 || $0 == 46 || $0 == 95
            }
    }

    /// A name belongs to one running job at a time. `remedy`: what else a person can do.
    static func claim(_ name: String, remedy: String = "") throws -> JobClaim {
        do { return try JobClaim(name, in: RuntimeFolder.locate(Shared.environment)) } catch {
            let text = error is JobClaim.Taken ? "\(error)\(remedy)" : "\(error)"
            throw CommandFailure(code: CommandFailure.cannotCreate, text: text)
        }
    }
}
