// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
import LinuxSystem

/// The instructions through which system calls are injected into a live job, laid out so that
/// the tracer may be killed at any moment.
///
/// When a tracer dies the kernel detaches its tracees, and they run on from whatever registers
/// they have. So an injected `syscall` is always followed by code that brings the thread back
/// by itself: it sets the CPUs and the signal mask the thread had and reloads every register that
/// injection changes. Nothing is pushed: the stack may be a goroutine's, with another object below it.
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
    /// The clone(2) of a child that nobody traces either: both it and its child end.
    let lastCloneEntry: UInt64
    /// Many calls in a row: rbx points to entries of eight words (number, six arguments, result),
    /// ebp counts them.
    let batchEntry: UInt64
    /// Where the instruction pointer is after each of them, ebp being 1 after the last.
    let batchReturn: UInt64
    let recoveryEntry: UInt64
    private let slots: UInt64
    private let base: UInt64

    /// Code, slots, CPU mask.
    static let size: UInt64 = 528
    private static let codeBytes: UInt64 = 288
    /// A CPU mask longer than this cannot be put back: 1024 CPUs.
    static let affinityBytes = 128

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
        lastCloneEntry = base + 32
        batchEntry = base + 48
        batchReturn = base + 48 + 29
        recoveryEntry = base + 96
        slots = base + Self.codeBytes
    }

    /// Writes code and what to go back to: registers, signal mask, CPUs. The thread must be
    /// stopped and must not be inside the trampoline's recovery code.
    func arm(
        _ memory: RemoteMemory, back registers: user_regs_struct, mask: UInt64, affinity: Affinity
    ) throws(SystemError) {
        let cpus = affinity.mask.prefix(Self.affinityBytes)
        try memory.write(
            code(directionFlag: registers.eflags & 0x400 != 0, affinityBytes: cpus.count)
                + data(registers, mask) + cpus,
            at: base)
    }

    private enum Slot: UInt64 {
        case mask = 0, rdi = 8, rsi = 16, rdx = 24, r10 = 32, r8 = 40, r9 = 48, rcx = 56
        case r11 = 64, rax = 72, rip = 80, flags = 88, overflow = 89
        case rbx = 96, rbp = 104, affinity = 112
    }

    private func data(_ r: user_regs_struct, _ mask: UInt64) -> [UInt8] {
        var result: [UInt8] = []
        for word in [mask, r.rdi, r.rsi, r.rdx, r.r10, r.r8, r.r9, r.rcx, r.r11, r.rax, r.rip] {
            result += bytes(of: word)
        }
        result.append(UInt8(truncatingIfNeeded: r.eflags))
        result.append(r.eflags & 0x800 != 0 ? 0x7f : 0)
        result += [UInt8](repeating: 0, count: Int(Slot.rbx.rawValue) - result.count)
        result += bytes(of: r.rbx) + bytes(of: r.rbp)
        return result
    }

    private func code(directionFlag: Bool, affinityBytes: Int) -> [UInt8] {
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
        c += [0x0f, 0x05, 0xeb, 92]  // syscall; jmp recovery
        pad(to: 16)
        c += [0x0f, 0x05, 0x48, 0x85, 0xc0, 0x75, 73]  // syscall; test rax, rax; jnz recovery
        c += [0xb8, 231, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05]  // exit: exit_group(0)
        pad(to: 32)
        c += [0x0f, 0x05, 0xeb, 0xf3]  // syscall; jmp exit
        pad(to: 48)
        c += [0x48, 0x8b, 0x03, 0x48, 0x8b, 0x7b, 8]  // mov rax, [rbx]; rdi, [rbx + 8]
        c += [0x48, 0x8b, 0x73, 16, 0x48, 0x8b, 0x53, 24]  // rsi, rdx
        c += [0x4c, 0x8b, 0x53, 32, 0x4c, 0x8b, 0x43, 40]  // r10, r8
        c += [0x4c, 0x8b, 0x4b, 48, 0x0f, 0x05]  // r9; syscall
        c += [0x48, 0x89, 0x43, 56, 0x48, 0x83, 0xc3, 64]  // mov [rbx + 56], rax; add rbx, 64
        c += [0xff, 0xcd, 0x75, 0xd7]  // dec ebp; jnz batch
        pad(to: 96)
        c += [0xb8, 203, 0, 0, 0, 0x31, 0xff, 0xbe]  // sched_setaffinity(0,
        c += bytes(of: UInt32(affinityBytes))  //   length,
        load([0x48, 0x8d, 0x15], .affinity)  //   &mask)
        c += [0x0f, 0x05]
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
        load([0x48, 0x8b, 0x1d], .rbx)
        load([0x48, 0x8b, 0x2d], .rbp)
        load([0xff, 0x25], .rip)  // jmp [rip]
        precondition(c.count <= Self.codeBytes)
        pad(to: Int(Self.codeBytes))
        return c
    }
}
