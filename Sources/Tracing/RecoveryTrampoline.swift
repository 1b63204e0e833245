// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
import LinuxSystem

/// The instructions through which system calls are injected into a live job, laid out so that
/// the tracer may be killed at any moment.
///
/// When a tracer dies the kernel detaches its tracees, and they run on from whatever registers
/// they have. So an injected `syscall` is always followed by code that brings the thread back
/// by itself: it sets the signal mask the thread had and reloads every register that injection
/// changes. Nothing is pushed: the stack may be a goroutine's, with another object below it.
/// While the tracer lives that code never runs; registers are put back by ptrace.
///
/// It lives in the unused tail of the vDSO's last page (a process-private copy after the first
/// write). Left behind by a killed tracer it is harmless, and the next checkpoint overwrites it.
struct RecoveryTrampoline {
    /// Injected calls enter here; control falls into the recovery code.
    let plainEntry: UInt64
    /// clone(2) enters here: a child that nobody traces ends at once instead of becoming a
    /// second copy of the application.
    let cloneEntry: UInt64
    /// A snapshot child set to this address ends.
    let exitEntry: UInt64
    let recoveryEntry: UInt64
    private let slots: UInt64
    private let base: UInt64

    static let size: UInt64 = 384

    /// Finds the tail of the vDSO. Throws ENOEXEC when there is no room for the code.
    init(vdso: MappingEntry, memory: RemoteMemory) throws(SystemError) {
        let header = try memory.read(vdso.start, count: 64)
        let sections = value(UInt64.self, from: header, at: 40)
        let count = UInt64(value(UInt16.self, from: header, at: 60))
        let entry = UInt64(value(UInt16.self, from: header, at: 58))
        let end = (sections + count * entry + 63) & ~63
        guard end + Self.size <= vdso.bytes else {
            throw SystemError(code: ENOEXEC, operation: "place the injection code in the vDSO")
        }
        base = vdso.start + end
        plainEntry = base
        cloneEntry = base + 16
        exitEntry = base + 16 + 7
        recoveryEntry = base + 48
        slots = base + 192
    }

    /// Writes code and the registers and mask to go back to. The thread must be stopped and
    /// must not be inside the trampoline's recovery code.
    func arm(
        _ memory: RemoteMemory, back registers: user_regs_struct, mask: UInt64
    ) throws(SystemError) {
        try memory.write(
            code(directionFlag: registers.eflags & 0x400 != 0) + data(registers, mask),
            at: base)
    }

    private enum Slot: UInt64 {
        case mask = 0, rdi = 8, rsi = 16, rdx = 24, r10 = 32, r8 = 40, r9 = 48, rcx = 56
        case r11 = 64, rax = 72, rip = 80, flags = 88, overflow = 89
    }

    private func data(_ r: user_regs_struct, _ mask: UInt64) -> [UInt8] {
        var result: [UInt8] = []
        for word in [mask, r.rdi, r.rsi, r.rdx, r.r10, r.r8, r.r9, r.rcx, r.r11, r.rax, r.rip] {
            result += bytes(of: word)
        }
        result.append(UInt8(truncatingIfNeeded: r.eflags))
        result.append(r.eflags & 0x800 != 0 ? 0x7f : 0)
        return result
    }

    private func code(directionFlag: Bool) -> [UInt8] {
        var c: [UInt8] = []
        func pad(to offset: Int) { while c.count < offset { c.append(0x90) } }
        func address(_ slot: Slot) {
            let next = base + UInt64(c.count) + 4
            c += bytes(of: Int32(truncatingIfNeeded: Int64(slots + slot.rawValue) - Int64(next)))
        }
        func load(_ opcode: [UInt8], _ slot: Slot) {
            c += opcode
            address(slot)
        }
        c += [0x0f, 0x05, 0xeb, 44]  // syscall; jmp recovery
        pad(to: 16)
        c += [0x0f, 0x05, 0x48, 0x85, 0xc0, 0x75, 25]  // syscall; test rax, rax; jnz recovery
        c += [0xb8, 231, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05]  // exit_group(0)
        pad(to: 48)
        c += [0xb8, 14, 0, 0, 0, 0xbf, 2, 0, 0, 0]  // rt_sigprocmask(SIG_SETMASK,
        load([0x48, 0x8d, 0x35], .mask)  //   &mask,
        c += [0x31, 0xd2, 0x41, 0xba, 8, 0, 0, 0, 0x0f, 0x05]  // NULL, 8)
        load([0x8a, 0x05], .overflow)  // al = OF ? 0x7f : 0
        c += [0x04, 0x01]  // add al, 1: sets OF
        load([0x8a, 0x25], .flags)  // ah
        c += [0x9e, directionFlag ? 0xfd : 0xfc]  // sahf; std or cld
        load([0x48, 0x8b, 0x3d], .rdi)
        load([0x48, 0x8b, 0x35], .rsi)
        load([0x48, 0x8b, 0x15], .rdx)
        load([0x4c, 0x8b, 0x15], .r10)
        load([0x4c, 0x8b, 0x05], .r8)
        load([0x4c, 0x8b, 0x0d], .r9)
        load([0x48, 0x8b, 0x0d], .rcx)
        load([0x4c, 0x8b, 0x1d], .r11)
        load([0x48, 0x8b, 0x05], .rax)
        load([0xff, 0x25], .rip)  // jmp [rip]
        precondition(c.count <= 192)
        pad(to: 192)
        return c
    }
}
