// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
import LinuxSystem

/// One thread under PTRACE_SEIZE.
///
/// ptrace belongs to the thread that seized: every method must be called on that same thread.
/// Waiting is always for this one thread and with __WNOTHREAD, so that no other child of this
/// process is ever reaped by mistake.
public final class Tracee {
    /// As the tracer's pid namespace numbers it.
    public let tid: pid_t
    /// Set while the tracee is in a ptrace stop.
    public internal(set) var isStopped = false
    /// How the tracee ended, raw as from waitpid(2), if a wait reported that.
    public internal(set) var end: Int32?
    /// The signal of the group stop it was found in, if it was.
    public internal(set) var groupStop: Int32?
    /// It was in a system call that is made again as soon as it runs.
    var returnsToCall = false
    /// Signals that no mask holds back, taken while calls were injected: owed to the tracee.
    var held: [Int32] = []
    /// Child's id from the last PTRACE_EVENT_CLONE, FORK or VFORK.
    public internal(set) var lastChild: pid_t = 0

    public init(tid: pid_t) { self.tid = tid }

    public struct Options: OptionSet, Sendable {
        public let rawValue: UInt
        public init(rawValue: UInt) { self.rawValue = rawValue }
        public static let markSystemCalls = Options(rawValue: 1)
        public static let followFork = Options(rawValue: 2 | 4 | 8)
        public static let killOnExit = Options(rawValue: 0x100000)
    }

    @discardableResult
    func request(
        _ request: Int, _ address: UInt = 0, _ data: UInt = 0, _ what: StaticString
    ) throws(RemoteError) -> Int {
        let result = Kernel.raw(
            .ptrace, request, Int(tid), Int(bitPattern: address), Int(bitPattern: data))
        do { return try Kernel.check(result, "ptrace \(what) of thread \(tid)") } catch {
            throw .trace(error, tid: tid)
        }
    }

    /// Attaches without stopping (PTRACE_SEIZE).
    public func seize(_ options: Options) throws(RemoteError) {
        try request(Int(FERMATA_PTRACE_SEIZE), 0, options.rawValue, "SEIZE")
    }

    public func setOptions(_ options: Options) throws(RemoteError) {
        try request(Int(FERMATA_PTRACE_SETOPTIONS), 0, options.rawValue, "SETOPTIONS")
    }

    /// Asks for a stop; `poll` or `wait` reports it.
    public func interrupt() throws(RemoteError) {
        try request(Int(FERMATA_PTRACE_INTERRUPT), 0, 0, "INTERRUPT")
    }

    /// From any ptrace stop into one that PTRACE_INTERRUPT makes, without an instruction of the
    /// tracee's in between: the trap comes before the return to user mode.
    public func stopAgain() throws(RemoteError) {
        try interrupt()
        while true {
            try continueRunning()
            switch wait() {
            case .interrupted?: return
            case .signal(let signal)?: held.append(signal)
            case .event?, .systemCall?: continue
            case .exited?, .killed?, nil: throw .vanished(tid: tid)
            }
        }
    }

    /// Lets the tracee run on its own again. Ends tracing.
    public func detach(delivering signal: Int32 = 0) throws(RemoteError) {
        for signal in held { _ = Kernel.raw(.tkill, Int(tid), Int(signal)) }
        held = []
        try request(Int(FERMATA_PTRACE_DETACH), 0, UInt(signal), "DETACH")
        isStopped = false
    }

    func resume(_ how: Int32, delivering signal: Int32 = 0) throws(RemoteError) {
        try request(Int(how), 0, UInt(signal), "resume")
        isStopped = false
    }

    public func continueRunning(delivering signal: Int32 = 0) throws(RemoteError) {
        try resume(Int32(FERMATA_PTRACE_CONT), delivering: signal)
    }

    /// A state change if there is one, without blocking.
    public func poll() -> WaitStatus? { waitStatus(WNOHANG) }

    /// Blocks until the tracee changes state; nil when it cannot be waited for any more.
    public func wait() -> WaitStatus? { waitStatus(0) }

    private func waitStatus(_ flags: Int32) -> WaitStatus? {
        var status: Int32 = 0
        while true {
            let options = Int32(bitPattern: 0x4000_0000 | 0x2000_0000) | flags  // __WALL|__WNOTHREAD
            let pid = waitpid(tid, &status, options)
            if pid < 0 && errno == EINTR { continue }
            guard pid == tid else {
                if pid < 0 { end = end ?? 0 }
                return nil
            }
            let decoded = WaitStatus(raw: status)
            if decoded.isEnd { end = status } else { isStopped = true }
            if case .event = decoded { noteChild() }
            return decoded
        }
    }

    private func noteChild() {
        var message: UInt = 0
        withUnsafeMutablePointer(to: &message) {
            _ = try? request(
                Int(FERMATA_PTRACE_GETEVENTMSG), 0, UInt(bitPattern: $0), "GETEVENTMSG")
        }
        lastChild = pid_t(truncatingIfNeeded: message)
    }

    // MARK: state of the stopped thread

    public func registers() throws(RemoteError) -> user_regs_struct {
        var result = user_regs_struct()
        let address = withUnsafeMutablePointer(to: &result) { UInt(bitPattern: $0) }
        try request(Int(FERMATA_PTRACE_GETREGS), 0, address, "GETREGS")
        return result
    }

    public func setRegisters(_ registers: user_regs_struct) throws(RemoteError) {
        var registers = registers
        let address = withUnsafeMutablePointer(to: &registers) { UInt(bitPattern: $0) }
        try request(Int(FERMATA_PTRACE_SETREGS), 0, address, "SETREGS")
    }

    /// NT_X86_XSTATE: every XSAVE component that the thread uses (x87 to AMX).
    public func extendedState() throws(RemoteError) -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        let length = try regset(Int(FERMATA_PTRACE_GETREGSET), &buffer)
        return Array(buffer[0..<length])
    }

    public func setExtendedState(_ state: [UInt8]) throws(RemoteError) {
        var state = state
        _ = try regset(Int(FERMATA_PTRACE_SETREGSET), &state)
    }

    private func regset(_ request: Int, _ buffer: inout [UInt8]) throws(RemoteError) -> Int {
        var vector = iovec()
        var outcome: Result<Int, RemoteError> = .success(0)
        buffer.withUnsafeMutableBytes { bytes in
            vector = iovec(iov_base: bytes.baseAddress, iov_len: bytes.count)
            let address = withUnsafeMutablePointer(to: &vector) { UInt(bitPattern: $0) }
            do throws(RemoteError) {
                try self.request(request, 0x202, address, "XSTATE")
                outcome = .success(vector.iov_len)
            } catch { outcome = .failure(error) }
        }
        return try outcome.get()
    }

    public func signalMask() throws(RemoteError) -> UInt64 {
        var mask: UInt64 = 0
        let address = withUnsafeMutablePointer(to: &mask) { UInt(bitPattern: $0) }
        try request(Int(FERMATA_PTRACE_GETSIGMASK), 8, address, "GETSIGMASK")
        return mask
    }

    public func setSignalMask(_ mask: UInt64) throws(RemoteError) {
        var mask = mask
        let address = withUnsafeMutablePointer(to: &mask) { UInt(bitPattern: $0) }
        try request(Int(FERMATA_PTRACE_SETSIGMASK), 8, address, "SETSIGMASK")
    }

    public func rseq() throws(RemoteError) -> fermata_rseq_configuration {
        var result = fermata_rseq_configuration()
        let size = UInt(MemoryLayout<fermata_rseq_configuration>.size)
        let address = withUnsafeMutablePointer(to: &result) { UInt(bitPattern: $0) }
        try request(
            Int(FERMATA_PTRACE_GET_RSEQ_CONFIGURATION), size, address, "GET_RSEQ")
        return result
    }

    /// Signals that wait for this thread, or (`shared`) for its process: siginfo_t each.
    public func pendingSignals(shared: Bool) throws(RemoteError) -> [[UInt8]] {
        struct Arguments { var offset: UInt64; var flags: UInt32; var count: Int32 }
        var result: [[UInt8]] = []
        while true {
            var arguments = Arguments(
                offset: UInt64(result.count), flags: shared ? 1 : 0, count: 16)
            var buffer = [UInt8](repeating: 0, count: 128 * 16)
            let argument = withUnsafeMutablePointer(to: &arguments) { UInt(bitPattern: $0) }
            let target = buffer.withUnsafeMutableBytes { UInt(bitPattern: $0.baseAddress) }
            let n = try request(
                Int(FERMATA_PTRACE_PEEKSIGINFO), argument, target, "PEEKSIGINFO")
            for i in 0..<n { result.append(Array(buffer[(i * 128)..<((i + 1) * 128)])) }
            if n < 16 { return result }
        }
    }
}
