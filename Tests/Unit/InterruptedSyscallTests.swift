// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
import Testing
import Tracing

/// What a thread that was stopped inside a system call goes on with (signal(7),
/// arch/x86/kernel/signal.c).
@Suite struct InterruptedSyscallTests {
    private static let none = UInt64.max

    private static func registers(_ call: UInt64, _ result: Int) -> user_regs_struct {
        var r = user_regs_struct()
        r.orig_rax = call
        r.rax = UInt64(bitPattern: Int64(result))
        r.rip = 0x40_0102
        r.rdi = 1; r.rsi = 2; r.rdx = 3; r.r10 = 4; r.r8 = 5; r.r9 = 6
        return r
    }

    private static let all = [
        InterruptedSyscall.kernel, InterruptedSyscall.resumable, InterruptedSyscall.restorable,
    ]

    @Test("ERESTARTSYS, ERESTARTNOINTR, ERESTARTNOHAND: the kernel decides", arguments: [-512, -513, -514])
    func again(result: Int) {
        for call: UInt64 in 0...450 {
            for r in [InterruptedSyscall.kernel, InterruptedSyscall.restorable].map({
                $0(Self.registers(call, result))
            }) {
                #expect(r.rax == UInt64(bitPattern: Int64(result)))
                #expect(r.rip == 0x40_0102)
                #expect(r.orig_rax == call)
                #expect([r.rdi, r.rsi, r.rdx, r.r10] == [1, 2, 3, 4])
            }
        }
    }

    @Test("Without the kernel: the call again", arguments: [-512, -513, -514])
    func againWithoutTheKernel(result: Int) {
        for call: UInt64 in 0...450 {
            let r = InterruptedSyscall.resumable(Self.registers(call, result))
            #expect(r.rax == call)
            #expect(r.rip == 0x40_0100, "on the syscall instruction")
            #expect(r.orig_rax == Self.none)
            #expect([r.rdi, r.rsi, r.rdx, r.r10] == [1, 2, 3, 4])
        }
    }

    @Test("ERESTART_RESTARTBLOCK in the same task: restart_syscall(2)")
    func restartBlock() {
        for call: UInt64 in [7, 35, 202, 230] {
            let left = InterruptedSyscall.kernel(Self.registers(call, -516))
            #expect(left.rax == UInt64(bitPattern: -516) && left.orig_rax == call)
            let r = InterruptedSyscall.resumable(Self.registers(call, -516))
            #expect(r.rax == 219)
            #expect(r.rip == 0x40_0100)
            #expect(r.orig_rax == Self.none)
            #expect([r.rdi, r.rsi, r.rdx, r.r10] == [1, 2, 3, 4])
        }
    }

    @Test("ERESTART_RESTARTBLOCK in a new task: the call again, with the time that is left")
    func restartBlockElsewhere() {
        for call: UInt64 in [7, 35, 202, 230] {
            let r = InterruptedSyscall.restorable(Self.registers(call, -516))
            #expect(r.rax == UInt64(bitPattern: -514), "unless a handler runs")
            #expect(r.rip == 0x40_0102)
            #expect(r.orig_rax == call)
            #expect(r.rdi == (call == 35 ? 2 : 1), "nanosleep: the remaining time becomes the request")
            #expect(r.rdx == (call == 230 ? 4 : 3), "clock_nanosleep: likewise")
        }
        var nowhere = Self.registers(35, -516)
        nowhere.rsi = 0
        #expect(InterruptedSyscall.restorable(nowhere).rdi == 1, "no place for the remaining time")
        nowhere = Self.registers(230, -516)
        nowhere.r10 = 0
        #expect(InterruptedSyscall.restorable(nowhere).rdx == 3)
    }

    @Test("EINTR is the stop's for those that signal(7) lists, else the application's")
    func interrupted() {
        let byStop: Set<UInt64> = [
            0, 1, 19, 20, 42, 43, 44, 45, 46, 47, 65, 69, 70, 128, 208, 220, 232, 281, 288, 299, 307, 441,
        ]
        for call: UInt64 in 0...450 {
            for r in [InterruptedSyscall.kernel, InterruptedSyscall.restorable].map({
                $0(Self.registers(call, -4))
            }) {
                #expect(r.rax == UInt64(bitPattern: byStop.contains(call) ? -514 : -4))
                #expect(r.rip == 0x40_0102)
            }
            let r = InterruptedSyscall.resumable(Self.registers(call, -4))
            #expect(r.rax == (byStop.contains(call) ? call : UInt64(bitPattern: -4)))
            #expect(r.rip == (byStop.contains(call) ? 0x40_0100 : 0x40_0102))
        }
    }

    @Test("Results and other errors stay", arguments: [0, 1, 4096, -1, -11, -515, -517])
    func finished(result: Int) {
        for r in Self.all.map({ $0(Self.registers(0, result)) }) {
            #expect(r.rax == UInt64(bitPattern: Int64(result)))
            #expect(r.rip == 0x40_0102)
        }
        #expect(InterruptedSyscall.restorable(Self.registers(0, result)).orig_rax == Self.none)
    }

    @Test("Outside of a system call nothing is touched", arguments: [-512, -513, -514, -516, -4, 0])
    func outside(rax: Int) {
        for r in Self.all.map({ $0(Self.registers(Self.none, rax)) }) {
            #expect(r.rax == UInt64(bitPattern: Int64(rax)))
            #expect(r.rip == 0x40_0102)
            #expect(r.orig_rax == Self.none)
        }
    }
}
