// SPDX-License-Identifier: Apache-2.0
import Glibc
import LinuxSystem

/// Descriptors that the supervisor was started with and handed to the job: standard input and
/// output mostly. What they refer to belongs to the outside; restart puts its own in their place.
public struct InheritedDescriptors: Sendable {
    /// Numbers that were open, and not close-on-exec, when this program began.
    public let slots: [Int32]
    /// /dev/pts/<terminal>: the pseudo-terminal that the supervisor relays, if the job has one.
    public var terminal: UInt32?

    public init(slots: [Int32], terminal: UInt32? = nil) {
        self.slots = slots
        self.terminal = terminal
    }

    /// To be called first thing in main, before anything else opens descriptors.
    public static func atStart() -> InheritedDescriptors {
        let numbers = (try? ProcFS.numbers(in: "/proc/self/fd")) ?? []
        return InheritedDescriptors(
            slots: numbers.filter {
                let flags = fcntl($0, F_GETFD)
                return flags >= 0 && flags & FD_CLOEXEC == 0
            })
    }

    /// The slot whose open file description is descriptor `number` of process `pid`.
    func slot(of number: Int32, in pid: pid_t) -> Int32? {
        let compareFile = 0  // KCMP_FILE
        return slots.first {
            Kernel.raw(.kcmp, Int(getpid()), Int(pid), compareFile, Int($0), Int(number)) == 0
        }
    }
}
