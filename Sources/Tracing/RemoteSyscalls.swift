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
    /// Signals that the thread had blocked when it stopped.
    let mask: UInt64
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

    /// Runs calls one after another with a single stop at the end, instead of two stops for each.
    /// Their results. At most 96 calls; the upper 8 KiB of scratch memory hold their table.
    ///
    /// The stop is a signal that the thread sends itself, one of those that have no effect on it
    /// (signal(7), "Ign"): neither caught nor blocked. So it harms nobody if the tracer is killed
    /// before it takes the signal away, and none that comes from elsewhere can be lost.
    public func invokeAll(
        _ calls: [(number: SystemCall, arguments: [UInt64])]
    ) throws(RemoteError) -> [Int] {
        let status: ProcessStatus
        do throws(SystemError) { status = try ProcessStatus("/proc/\(thread.tid)") } catch {
            throw .trace(error, tid: thread.tid)
        }
        let used = status.signalsCaught | mask
        guard let signal = [SIGWINCH, SIGURG].first(where: { used & Self.bit($0) == 0 }),
            let inner = status.namespacePids.last
        else {
            var results: [Int] = []
            for call in calls { results.append(try invoke(call.number, call.arguments)) }
            return results
        }
        precondition(calls.count <= 96)
        let end = (number: SystemCall.tkill, arguments: [UInt64(inner), UInt64(signal)])
        let table = try place((calls + [end]).flatMap(Self.entry), at: 8192)
        var registers = base
        registers.rip = trampoline.batchEntry
        registers.orig_rax = UInt64.max
        registers.rbx = table
        registers.rbp = UInt64(calls.count + 1)
        try thread.setRegisters(registers)
        try thread.setSignalMask(~Self.bit(signal))
        try awaitBatch(signal)
        try thread.setSignalMask(UInt64.max)
        let words = try readBytes(calls.count * 64, at: 8192)
        return calls.indices.map { value(Int.self, from: words, at: $0 * 64 + 56) }
    }

    private func awaitBatch(_ signal: Int32) throws(RemoteError) {
        while true {
            try thread.continueRunning()
            switch thread.wait() {
            case .signal(signal)?:
                let now = try thread.registers()
                if now.rip == trampoline.batchReturn && now.rbp == 1 { return }
            case .signal(let other)?: thread.held.append(other)
            case .event?, .interrupted?, .systemCall?: continue
            case .exited?, .killed?, nil: throw .vanished(tid: thread.tid)
            }
        }
    }

    private static func bit(_ signal: Int32) -> UInt64 { 1 << UInt64(signal - 1) }

    private static func entry(_ number: SystemCall, _ arguments: [UInt64]) -> [UInt8] {
        let words = [UInt64(number.rawValue)] + arguments
        return (words + [UInt64](repeating: 0, count: 8 - words.count)).flatMap { bytes(of: $0) }
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
    /// clone event, the notice of a group stop, or SIGSTOP, which is sent again at the end.
    private func step(_ which: StaticString) throws(RemoteError) {
        while true {
            try thread.resume(Int32(FERMATA_PTRACE_SYSCALL))
            switch thread.wait() {
            case .systemCall?: return
            case .signal(let signal)?: thread.held.append(signal)
            case .event?, .interrupted?: continue
            case .exited?, .killed?, nil: throw .vanished(tid: thread.tid)
            }
        }
    }
}
