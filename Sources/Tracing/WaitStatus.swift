// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
import LinuxSystem

/// What waitpid(2) said of a tracee, as a closed set (ptrace(2), "Stopped states").
public enum WaitStatus: Equatable, Sendable {
    case exited(code: Int32)
    case killed(signal: Int32)
    /// PTRACE_O_TRACESYSGOOD's syscall entry or exit.
    case systemCall
    /// A PTRACE_EVENT_… other than PTRACE_EVENT_STOP.
    case event(Int32)
    /// PTRACE_EVENT_STOP: interrupted, or in a group stop by `signal`.
    case interrupted(signal: Int32)
    /// A signal is about to be delivered.
    case signal(Int32)

    public init(raw: Int32) {
        let event = raw >> 16
        let signal = fermata_wstopsig(raw)
        if fermata_wifstopped(raw) == 0 {
            self =
                fermata_wifexited(raw) != 0
                ? .exited(code: fermata_wexitstatus(raw)) : .killed(signal: fermata_wtermsig(raw))
        } else if event == 128 {
            self = .interrupted(signal: signal)
        } else if event != 0 {
            self = .event(event)
        } else if signal == SIGTRAP | 0x80 {
            self = .systemCall
        } else {
            self = .signal(signal)
        }
    }

    public var isEnd: Bool {
        switch self {
        case .exited, .killed: true
        default: false
        }
    }
}

/// Why a remote system call gave no value. Both cases are ordinary: nothing is wrong with Fermata.
public enum RemoteError: Error, CustomStringConvertible, Sendable {
    /// The kernel refused the call.
    case kernel(SystemError)
    /// The tracee has gone (SIGKILL, exit of the whole process).
    case vanished(tid: pid_t)

    public var description: String {
        switch self {
        case .kernel(let error): error.description
        case .vanished(let tid): "thread \(tid) ended meanwhile"
        }
    }

    static func trace(_ error: SystemError, tid: pid_t) -> RemoteError {
        error.code == ESRCH ? .vanished(tid: tid) : .kernel(error)
    }
}
