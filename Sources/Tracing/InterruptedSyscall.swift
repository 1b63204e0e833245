// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
import LinuxSystem

/// Registers with which a thread goes on although the kernel's own bookkeeping of the system
/// call it was stopped in is gone.
///
/// A thread interrupted inside a system call shows `orig_rax` >= 0 and an in-kernel error in
/// `rax` (arch/x86/kernel/signal.c, arch_do_signal_or_restart). Left alone the kernel repairs
/// that on the way out; after an injected call, or in another process, nobody would.
public enum InterruptedSyscall {
    private static let restartSystem = -512
    private static let restartNoInterrupt = -513
    private static let restartNoHandler = -514
    private static let restartBlock = -516

    /// Calls that fail with EINTR after a mere stop, without a handler having run: signal(7),
    /// "Interruption of system calls and library functions by stop signals". The application
    /// must not see that it was stopped, so they are made again.
    private static let interruptedByStop: Set<UInt64> = [
        0 /* read */, 1 /* write */, 19 /* readv */, 20 /* writev */, 42 /* connect */,
        43 /* accept */, 44 /* sendto */, 45 /* recvfrom */, 46 /* sendmsg */, 47 /* recvmsg */,
        288 /* accept4 */, 299 /* recvmmsg */, 307 /* sendmmsg */, 65 /* semop */, 69 /* msgsnd */,
        70 /* msgrcv */, 128 /* rt_sigtimedwait */,
        208 /* io_getevents */, 220 /* semtimedop */, 232 /* epoll_wait */,
        281 /* epoll_pwait */, 441, /* epoll_pwait2 */
    ]

    /// For the thread itself, in the same kernel task: a restart block is still there, so
    /// restart_syscall(2) goes on with the time that is left.
    public static func resumable(_ registers: user_regs_struct) -> user_regs_struct {
        repaired(registers) { r in r.rax = UInt64(SystemCall.restartSyscall.rawValue) }
    }

    /// For a new task: the call is made again. What the kernel had left in the remaining-time
    /// argument of nanosleep(2) becomes the request.
    public static func restorable(_ registers: user_regs_struct) -> user_regs_struct {
        repaired(registers) { r in
            switch r.orig_rax {
            case 35 where r.rsi != 0: r.rdi = r.rsi  // nanosleep(request, remaining)
            case 230 where r.r10 != 0: r.rdx = r.r10  // clock_nanosleep(_, _, request, remaining)
            default: break
            }
            r.rax = r.orig_rax
        }
    }

    private static func repaired(
        _ registers: user_regs_struct, _ block: (inout user_regs_struct) -> Void
    ) -> user_regs_struct {
        var r = registers
        if Int64(bitPattern: r.orig_rax) >= 0 {
            switch Int(Int64(bitPattern: r.rax)) {
            case restartSystem, restartNoInterrupt, restartNoHandler:
                r.rax = r.orig_rax
                r.rip -= 2
            case restartBlock:
                block(&r)
                r.rip -= 2
            case -Int(EINTR) where interruptedByStop.contains(r.orig_rax):
                r.rax = r.orig_rax
                r.rip -= 2
            default: break
            }
        }
        r.orig_rax = UInt64.max  // nothing for the kernel to repair any more
        return r
    }
}
