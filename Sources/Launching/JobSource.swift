// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
import LinuxSystem
import ProcessSnapshot

/// The job that a supervisor watches: started natively, or restored into a pod.
public enum JobSource {
    /// The command's own process, a child of the supervisor's main thread.
    case native(root: pid_t, identity: String)
    /// `door`: if it uses verbs.
    case pod(RestoredJob, VerbsDoor?)

    var root: pid_t {
        switch self {
        case .native(let root, _): root
        case .pod(let job, _): job.outerRootPid
        }
    }

    /// What FERMATA_JOB_ID is in the job. A restored one has it from its original.
    var identity: String {
        switch self {
        case .native(_, let identity): return identity
        case .pod(let job, _):
            for pid in ProcFS.descendants(of: job.podPid) {
                if let found = JobRecord.identity(of: pid) { return found }
            }
            return ""
        }
    }

    func view(_ own: OwnProcesses) -> JobView {
        switch self {
        case .native:
            JobView(
                reaper: getpid(), isPod: false, startedSeconds: Clock.realtime() / 1_000_000_000,
                excluded: { own.all })
        case .pod(let job, _): job.view(own)
        }
    }
}

extension RestoredJob {
    func view(_ own: OwnProcesses) -> JobView {
        JobView(reaper: podPid, isPod: true, excluded: { own.all })
    }
}

/// Starts a command as a job: a child in a session of its own.
public struct NativeLaunch {
    public let root: pid_t
    public let identity = JobRecord.newIdentity()
    private let gate: Descriptor

    /// The command waits until `go`, and never runs if this process ends before. `terminal`: becomes
    /// its controlling terminal, and stands for those standard descriptors that are terminals here.
    /// `variables`: NAME=VALUE each, set in the command's environment.
    public init(
        command: [String], job: String, terminal: TerminalRelay?, variables added: [String] = []
    ) throws {
        // Orphans of the job become children of this process instead of init's.
        try Kernel.call(.prctl, 36, 1, what: "PR_SET_CHILD_SUBREAPER")
        let (read, write) = try Descriptor.pipe()
        gate = write
        var environment: [String] = []
        var next = environ
        while let entry = next.pointee {
            environment.append(String(cString: entry))
            next += 1
        }
        for variable in ["FERMATA_JOB=\(job)", "FERMATA_JOB_ID=\(identity)"] + added {
            let name = variable.prefix { $0 != "=" } + "="
            environment.removeAll { $0.hasPrefix(name) }
            environment.append(variable)
        }
        var arguments = command.map { strdup($0) } + [nil]
        var variables = environment.map { strdup($0) } + [nil]
        defer { (arguments + variables).forEach { free($0) } }
        var standard: [Int32] = [0, 1, 2]
        if let terminal {
            standard = standard.map { isatty($0) == 1 ? terminal.slaveNumber : $0 }
        }
        root = fermata_launch(
            arguments[0], &arguments, &variables, standard, terminal?.slaveNumber ?? -1,
            [read.number, write.number])
        try Kernel.check(Int(root), "start \(command[0])")
    }

    /// Returns when the command runs, or cannot. Until its exec the child is a copy of this process,
    /// with this process's files and environment, and must not get into a checkpoint.
    public func go() {
        var byte: UInt8 = 1
        _ = write(gate.number, &byte, 1)
        // Its end of the pipe is close-on-exec, and a pipe that nobody reads has an error (poll(2)).
        var end = pollfd(fd: gate.number, events: 0, revents: 0)
        while poll(&end, 1, -1) < 0, errno == EINTR {}
    }
}
