// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
import LinuxSystem

/// Something that can run system calls inside a stopped thread of another process.
public protocol RemoteCaller: ~Copyable {
    var memory: RemoteMemory { get }
    /// Address of `scratchBytes` bytes in the target that calls may use for arguments.
    var scratch: UInt64 { get }

    /// The raw result: a value, or -errno.
    func invoke(_ number: SystemCall, _ arguments: [UInt64]) throws(RemoteError) -> Int
}

extension RemoteCaller where Self: ~Copyable {
    /// Runs one system call and throws what the kernel refuses.
    @discardableResult
    public func call(
        _ number: SystemCall, _ arguments: UInt64..., what: @autoclosure () -> String = ""
    ) throws(RemoteError) -> UInt64 {
        let result = try invoke(number, arguments)
        guard result >= 0 || result < -4095 else {
            let text = what()
            throw .kernel(
                SystemError(
                    code: Int32(-result),
                    operation: "\(number) in process \(memory.pid)\(text.isEmpty ? "" : ": " + text)"))
        }
        return UInt64(bitPattern: Int64(result))
    }

    public func read<T: BitwiseCopyable>(_ type: T.Type, at offset: UInt64 = 0)
        throws(RemoteError) -> T
    {
        do throws(SystemError) { return try memory.value(type, at: scratch + offset) } catch {
            throw .trace(error, tid: memory.pid)
        }
    }

    public func readBytes(_ count: Int, at offset: UInt64 = 0) throws(RemoteError) -> [UInt8] {
        do throws(SystemError) { return try memory.read(scratch + offset, count: count) } catch {
            throw .trace(error, tid: memory.pid)
        }
    }

    /// Puts bytes into scratch memory and returns their address in the target.
    @discardableResult
    public func place(_ bytes: [UInt8], at offset: UInt64 = 0) throws(RemoteError) -> UInt64 {
        do throws(SystemError) { try memory.write(bytes, at: scratch + offset) } catch {
            throw .trace(error, tid: memory.pid)
        }
        return scratch + offset
    }

    @discardableResult
    public func place<T: BitwiseCopyable>(
        value: T, at offset: UInt64 = 0
    ) throws(RemoteError) -> UInt64 {
        try place(bytes(of: value), at: offset)
    }

    /// A NUL-terminated string in scratch memory.
    @discardableResult
    public func place(path: String, at offset: UInt64 = 0) throws(RemoteError) -> UInt64 {
        try place(Array(path.utf8) + [0], at: offset)
    }
}

/// The scope in which system calls run inside a thread of the live job. Made by
/// `StoppedProcess.withRemoteSyscalls`, which puts everything back on every path.
public struct RemoteSyscalls: RemoteCaller, ~Copyable {
    let thread: Tracee
    public let memory: RemoteMemory
    public let scratch: UInt64
    let base: user_regs_struct
    let trampoline: RecoveryTrampoline

    public func invoke(
        _ number: SystemCall, _ arguments: [UInt64]
    ) throws(RemoteError) -> Int {
        try run(number, arguments, entry: trampoline.plainEntry)
    }

    func run(
        _ number: SystemCall, _ arguments: [UInt64], entry: UInt64
    ) throws(RemoteError) -> Int {
        try thread.setRegisters(
            Self.registers(base, entry: entry, number: number, arguments: arguments))
        try step("entry")
        try step("exit")
        return Int(Int64(bitPattern: try thread.registers().rax))
    }

    static func registers(
        _ base: user_regs_struct, entry: UInt64, number: SystemCall, arguments: [UInt64]
    ) -> user_regs_struct {
        func argument(_ i: Int) -> UInt64 { i < arguments.count ? arguments[i] : 0 }
        var r = base
        r.rip = entry
        r.rax = UInt64(number.rawValue)
        r.orig_rax = UInt64.max
        r.rdi = argument(0)
        r.rsi = argument(1)
        r.rdx = argument(2)
        r.r10 = argument(3)
        r.r8 = argument(4)
        r.r9 = argument(5)
        return r
    }

    /// To the next syscall stop. Signals are blocked meanwhile; what else may come between is a
    /// clone event, or the notice of a group stop.
    private func step(_ which: StaticString) throws(RemoteError) {
        while true {
            try thread.resume(Int32(FERMATA_PTRACE_SYSCALL))
            switch thread.wait() {
            case .systemCall?: return
            case .event?, .interrupted?, .signal?: continue
            case .exited?, .killed?, nil: throw .vanished(tid: thread.tid)
            }
        }
    }
}
