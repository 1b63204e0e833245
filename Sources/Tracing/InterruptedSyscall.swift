// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
import LinuxSystem

/// Registers with which a thread that was stopped inside a system call goes on.
///
/// Such a thread shows `orig_rax` >= 0 and an in-kernel error in `rax`. On its way out of the
/// kernel it is decided (arch/x86/kernel/signal.c, arch_do_signal_or_restart): the call is made
/// again, or fails with EINTR because a handler runs. Only the kernel can decide that: a signal
/// may come at any moment before the thread is really back in the call, and pause(2) must not
/// begin to wait for one that has just been handled. So `kernel` and `restorable` keep the question
/// open, for threads that are released from a stop after which the kernel looks at it: one that
/// PTRACE_INTERRUPT or a signal made, not one at the end of a system call.
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

    /// For the thread itself, in the same kernel task.
    public static func kernel(_ registers: user_regs_struct) -> user_regs_struct {
        var r = registers
        guard Int64(bitPattern: r.orig_rax) >= 0 else { return r }
        if error(r) == -Int(EINTR), interruptedByStop.contains(r.orig_rax) {
            r.rax = UInt64(bitPattern: Int64(restartNoHandler))
        }
        return r
    }

    /// For a new task, which has no restart block: the call is made again with all its arguments.
    /// What the kernel had left in the remaining-time argument of nanosleep(2) becomes the request.
    public static func restorable(_ registers: user_regs_struct) -> user_regs_struct {
        var r = kernel(registers)
        guard Int64(bitPattern: r.orig_rax) >= 0 else { return r }
        switch error(r) {
        case restartSystem, restartNoInterrupt, restartNoHandler: return r
        case restartBlock:
            switch r.orig_rax {
            case 35 where r.rsi != 0: r.rdi = r.rsi  // nanosleep(request, remaining)
            case 230 where r.r10 != 0: r.rdx = r.r10  // clock_nanosleep(_, _, request, remaining)
            default: break
            }
            r.rax = UInt64(bitPattern: Int64(restartNoHandler))
        default: r.orig_rax = UInt64.max  // the call has ended
        }
        return r
    }

    /// For code that brings a thread back without the kernel's help (`RecoveryTrampoline`): the
    /// call is made again; with a restart block, restart_syscall(2) goes on with the time left.
    public static func resumable(_ registers: user_regs_struct) -> user_regs_struct {
        var r = kernel(registers)
        if Int64(bitPattern: r.orig_rax) >= 0 {
            switch error(r) {
            case restartSystem, restartNoInterrupt, restartNoHandler:
                r.rax = r.orig_rax
                r.rip -= 2
            case restartBlock:
                r.rax = UInt64(SystemCall.restartSyscall.rawValue)
                r.rip -= 2
            default: break
            }
        }
        r.orig_rax = UInt64.max  // nothing for the kernel to decide any more
        return r
    }

    /// True when the thread, let go with these registers, first of all enters a system call again.
    public static func returnsToCall(_ r: user_regs_struct) -> Bool {
        Int64(bitPattern: r.orig_rax) >= 0
            && [restartSystem, restartNoInterrupt, restartNoHandler, restartBlock].contains(error(r))
    }

    /// Where the signal mask lies that holds during the call only (ppoll(2), pselect(2),
    /// epoll_pwait(2), sigsuspend(2)); nil for other calls. `word` reads from the thread's memory.
    public static func temporaryMask(
        _ r: user_regs_struct, _ word: (UInt64) throws -> UInt64
    ) rethrows -> UInt64? {
        let address: UInt64 =
            switch r.orig_rax {
            case 130: r.rdi  // rt_sigsuspend
            case 271: r.r10  // ppoll
            case 281, 441: r.r8  // epoll_pwait, epoll_pwait2
            case 270 where r.r9 != 0: try word(r.r9)  // pselect6: {pointer, size}
            default: 0
            }
        return address == 0 ? nil : try word(address)
    }

    private static func error(_ r: user_regs_struct) -> Int { Int(Int64(bitPattern: r.rax)) }
}
