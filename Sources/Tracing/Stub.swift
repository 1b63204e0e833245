// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
import LinuxSystem

/// A thread of a process that is being rebuilt. Nothing of value is in it yet, so calls are
/// injected the fast way: "syscall; int3" and PTRACE_CONT, one stop each. If the tracer dies,
/// the kernel kills the stub (PTRACE_O_EXITKILL).
public final class Stub: RemoteCaller {
    public let tracee: Tracee
    public let memory: RemoteMemory
    public var scratch: UInt64
    private let base: user_regs_struct
    private let instruction: UInt64

    /// The process that `tracee` leads, still with the address space of this program.
    public init(adopting tracee: Tracee, scratch: UInt64 = 0) throws {
        self.tracee = tracee
        memory = try RemoteMemory(pid: tracee.tid)
        base = try tracee.registers()
        instruction = fermata_stub_instruction()
        self.scratch = scratch
    }

    private init(_ tracee: Tracee, memory: RemoteMemory, instruction: UInt64, scratch: UInt64) throws {
        self.tracee = tracee
        self.memory = memory
        base = try tracee.registers()
        self.instruction = instruction
        self.scratch = scratch
    }

    /// The same thread, from now on through "syscall; int3" at `instruction`.
    public func moved(to instruction: UInt64, scratch: UInt64) throws -> Stub {
        try Stub(tracee, memory: memory, instruction: instruction, scratch: scratch)
    }

    /// Another thread of the same process.
    public func sibling(_ tracee: Tracee) throws -> Stub {
        try Stub(tracee, memory: memory, instruction: instruction, scratch: scratch)
    }

    /// Seizes a fresh stub process and stops it.
    public static func seize(_ pid: pid_t) throws -> Stub {
        let tracee = Tracee(tid: pid)
        try tracee.seize([.markSystemCalls, .followFork, .killOnExit])
        try tracee.interrupt()
        try awaitStop(tracee)
        return try Stub(adopting: tracee)
    }

    /// Waits for a child that is traced since its birth.
    public static func awaitStop(_ tracee: Tracee) throws {
        while true {
            switch tracee.wait() {
            case .interrupted?: return
            case .event?, .signal?, .systemCall?: try tracee.continueRunning()
            default: throw RemoteError.vanished(tid: tracee.tid)
            }
        }
    }

    public func invoke(
        _ number: SystemCall, _ arguments: [UInt64]
    ) throws(RemoteError) -> Int {
        try start(number, arguments)
        return try finish()
    }

    /// Lets a call begin whose end is awaited by `finish`.
    public func start(_ number: SystemCall, _ arguments: [UInt64]) throws(RemoteError) {
        try tracee.setRegisters(
            RemoteSyscalls.registers(
                base, entry: instruction, number: number, arguments: arguments))
        try tracee.continueRunning()
    }

    public func finish() throws(RemoteError) -> Int {
        while true {
            switch tracee.wait() {
            case .signal(SIGTRAP)?: return Int(Int64(bitPattern: try tracee.registers().rax))
            // Signals meant for nobody yet (a zombie child's SIGCHLD): swallowed.
            case .event?, .interrupted?, .signal?, .systemCall?: try tracee.continueRunning()
            case .exited?, .killed?, nil: throw .vanished(tid: tracee.tid)
            }
        }
    }

    /// For the one call after which the instruction itself is gone: two syscall stops.
    public func invokeLast(
        _ number: SystemCall, _ arguments: [UInt64]
    ) throws(RemoteError) -> Int {
        try tracee.setRegisters(
            RemoteSyscalls.registers(
                base, entry: instruction, number: number, arguments: arguments))
        var stops = 0
        while stops < 2 {
            try tracee.resume(Int32(FERMATA_PTRACE_SYSCALL))
            switch tracee.wait() {
            case .systemCall?: stops += 1
            case .event?, .interrupted?, .signal?: continue
            case .exited?, .killed?, nil: throw .vanished(tid: tracee.tid)
            }
        }
        return Int(Int64(bitPattern: try tracee.registers().rax))
    }
}
