// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
import LinuxSystem

/// A process of the job, all of whose threads are in a ptrace stop.
public final class StoppedProcess {
    /// As the tracer's pid namespace numbers it.
    public let pid: pid_t
    /// The leader first; a leader that has exited while others live on is not among them.
    public internal(set) var threads: [Tracee]
    public let memory: RemoteMemory
    /// A living thread's id, for /proc/<anchor>: a leader that has exited shows nothing there.
    public var anchor: pid_t { threads.first?.tid ?? pid }
    private var trampoline: RecoveryTrampoline?
    private var scratch: UInt64 = 0
    private static let scratchBytes: UInt64 = 16384
    private var originals: [pid_t: (registers: user_regs_struct, mask: UInt64)] = [:]

    init(pid: pid_t, threads: [Tracee]) throws(SystemError) {
        self.pid = pid
        self.threads = threads
        memory = try RemoteMemory(pid: threads.first?.tid ?? pid)
    }

    /// The registers and signal mask that `thread` had when it stopped.
    public func original(
        _ thread: Tracee
    ) throws(RemoteError) -> (registers: user_regs_struct, mask: UInt64) {
        if let known = originals[thread.tid] { return known }
        let state = (try thread.registers(), try thread.signalMask())
        originals[thread.tid] = state
        return state
    }

    /// What the thread goes on with when it is let go. A call with a mask of its own is special: the
    /// kernel has that mask no longer (PTRACE_SETSIGMASK), so a signal that only it holds back would
    /// seem to end the call. As after any other stop the signal is handled first instead, and the
    /// call made again.
    private func goingOn(_ thread: Tracee) throws -> user_regs_struct {
        let (registers, mask) = try original(thread)
        let going = InterruptedSyscall.kernel(registers)
        guard InterruptedSyscall.returnsToCall(going),
            let during = try InterruptedSyscall.temporaryMask(
                registers, { try memory.value(UInt64.self, at: $0) })
        else { return going }
        let pending = try pendingSignals(thread) & ~mask
        return pending & ~during == 0 && pending != 0 ? InterruptedSyscall.resumable(registers) : going
    }

    /// The same for the thread's successor after a restart.
    public func restorable(_ thread: Tracee) throws -> user_regs_struct {
        let going = try goingOn(thread)
        return going.orig_rax == UInt64.max ? going : InterruptedSyscall.restorable(going)
    }

    private func pendingSignals(_ thread: Tracee) throws -> UInt64 {
        let signals = try thread.pendingSignals(shared: false) + thread.pendingSignals(shared: true)
        return signals.reduce(0) { $0 | 1 << UInt64(value(Int32.self, from: $1) - 1) }
    }

    /// Runs `body` with system calls executing inside `thread`. Whatever happens, also the death
    /// of this process at any instruction, the thread goes on afterwards as if nothing had been:
    /// see `RecoveryTrampoline`. One thread of a process at a time.
    ///
    /// Meanwhile tracer and thread are held on one CPU: each stop is then a switch from one to the
    /// other, and not the wake-up of an idle CPU, which takes several times as long.
    public func withRemoteSyscalls<Result>(
        in thread: Tracee, _ body: (borrowing RemoteSyscalls) throws -> Result
    ) throws -> Result {
        let (registers, mask) = try original(thread)
        let back = InterruptedSyscall.resumable(registers)
        let trampoline = try prepareTrampoline()
        let going = try goingOn(thread)
        thread.returnsToCall = InterruptedSyscall.returnsToCall(going)
        let affinity = try Affinity(of: thread.tid).lasting
        try trampoline.arm(memory, back: back, mask: mask, affinity: affinity)
        let own = try Affinity(of: 0)
        defer { own.apply(to: 0) }
        // Order matters: registers that lead through the recovery code first, then mask and CPU,
        // so that a tracer killed in between leaves a thread that repairs both itself.
        var recover = registers
        recover.rip = trampoline.recoveryEntry
        recover.orig_rax = UInt64.max
        try thread.setRegisters(recover)
        try thread.setSignalMask(UInt64.max)
        if affinity.mask.count <= RecoveryTrampoline.affinityBytes || affinity == .all {
            let here = Affinity.here
            here.apply(to: 0)
            here.apply(to: thread.tid)
        }
        defer {
            // Errors here mean that the thread is gone: nothing is left to put back.
            try? thread.setRegisters(recover)
            // Into a stop after which the kernel looks at an interrupted call.
            try? thread.stopAgain()
            affinity.apply(to: thread.tid)
            try? thread.setSignalMask(mask)
            try? thread.setRegisters(going)
        }
        if scratch == 0 {
            let first = RemoteSyscalls(
                thread: thread, memory: memory, scratch: 0, base: registers, mask: mask,
                trampoline: trampoline)
            scratch = try first.call(
                .mmap, 0, Self.scratchBytes, UInt64(PROT_READ | PROT_WRITE),
                UInt64(MAP_PRIVATE | MAP_ANONYMOUS), UInt64.max, 0)
        }
        let scope = RemoteSyscalls(
            thread: thread, memory: memory, scratch: scratch, base: registers, mask: mask,
            trampoline: trampoline)
        return try body(scope)
    }

    /// True for the mapping that this engine itself put into the process.
    public func isScratch(_ mapping: MappingEntry) -> Bool {
        scratch != 0 && mapping.start == scratch && mapping.bytes == Self.scratchBytes
    }

    public var scratchRange: Range<UInt64>? {
        scratch == 0 ? nil : scratch..<(scratch + Self.scratchBytes)
    }

    /// Gives the scratch memory back. Called once, before the process goes on.
    public func releaseScratch() throws {
        guard scratch != 0, let thread = threads.first else { return }
        let address = scratch
        try withRemoteSyscalls(in: thread) { remote in
            _ = try remote.call(.munmap, address, Self.scratchBytes)
        }
        scratch = 0
    }

    private func prepareTrampoline() throws(SystemError) -> RecoveryTrampoline {
        if let trampoline { return trampoline }
        let mappings = try MappingEntry.list(anchor)
        guard let vdso = mappings.first(where: { $0.path == "[vdso]" }) else {
            throw SystemError(code: ENOEXEC, operation: "find the vDSO of process \(pid)")
        }
        let made = try RecoveryTrampoline(vdso: vdso, memory: memory)
        trampoline = made
        return made
    }

    // MARK: snapshot by fork

    /// A copy of this process that never runs: fork mode's snapshot. It hangs below the job's
    /// reaper, not below this process, so the application can never wait for it.
    ///
    /// Two steps: a first child that shares the memory (cheap) makes the real copy and ends; the
    /// copy is thereby an orphan. Both end by themselves when they lose their tracer: neither may
    /// go on as the application, the first one even on its very stack.
    public func forkSnapshot() throws -> Tracee {
        guard let thread = threads.first else { throw RemoteError.vanished(tid: pid) }
        return try withRemoteSyscalls(in: thread) { remote in
            let options: Tracee.Options = [.markSystemCalls]
            try thread.setOptions([.markSystemCalls, .followFork])
            defer { try? thread.setOptions(options) }
            let entry = remote.trampoline.cloneEntry
            let shareMemory: UInt64 = 0x100  // CLONE_VM
            let first = try remote.run(.clone, [shareMemory], entry: entry)
            try Kernel.check(first, "clone in process \(pid)")
            let middle = Tracee(tid: thread.lastChild)
            try Self.expectStop(middle)
            let inMiddle = RemoteSyscalls(
                thread: middle, memory: memory, scratch: 0, base: try middle.registers(),
                mask: UInt64.max, trampoline: remote.trampoline)
            let second = try inMiddle.run(.clone, [0], entry: remote.trampoline.lastCloneEntry)
            Fault.point("fork")
            let copy = Tracee(tid: middle.lastChild)
            if second >= 0 { try Self.expectStop(copy) }
            try middle.detach()  // and it ends
            // __WALL: its exit signal is none, so that no SIGCHLD reaches the application.
            try remote.call(.wait4, UInt64(first), 0, 0x4000_0000, 0)
            try Kernel.check(second, "fork process \(pid)")
            return copy
        }
    }

    private static func expectStop(_ tracee: Tracee) throws {
        while true {
            switch tracee.wait() {
            case .interrupted?: return
            case .event?, .signal?, .systemCall?: try tracee.continueRunning()
            default: throw RemoteError.vanished(tid: tracee.tid)
            }
        }
    }
}
