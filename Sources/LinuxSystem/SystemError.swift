// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc

/// A system call that failed: the errno and what was being done, in words a person can use.
public struct SystemError: Error, CustomStringConvertible, Sendable, Equatable {
    public let code: Int32
    public let operation: String

    public init(code: Int32, operation: String) {
        self.code = code
        self.operation = operation
    }

    public var description: String { "\(operation): \(String(cString: strerror(code)))" }
}

/// Raw system calls, for those that glibc does not wrap or wraps with side effects.
/// Any thread may call these; none of them is a cancellation point.
public enum Kernel {
    /// The call's result as the kernel returns it: a value, or `-errno`.
    @inline(__always)
    public static func raw(
        _ number: SystemCall, _ a: Int = 0, _ b: Int = 0, _ c: Int = 0, _ d: Int = 0,
        _ e: Int = 0, _ f: Int = 0
    ) -> Int {
        fermata_syscall(number.rawValue, a, b, c, d, e, f)
    }

    /// Like `raw`, restarted when a signal interrupts it; throws for any other error.
    @discardableResult
    public static func call(
        _ number: SystemCall, _ a: Int = 0, _ b: Int = 0, _ c: Int = 0, _ d: Int = 0,
        _ e: Int = 0, _ f: Int = 0, what operation: @autoclosure () -> String
    ) throws(SystemError) -> Int {
        while true {
            let result = fermata_syscall(number.rawValue, a, b, c, d, e, f)
            if result == -Int(EINTR) { continue }
            return try check(result, operation())
        }
    }

    /// Turns a raw result into a value or an error.
    @discardableResult
    public static func check(
        _ result: Int, _ operation: @autoclosure () -> String
    ) throws(SystemError) -> Int {
        guard result >= 0 || result < -4095 else {
            throw SystemError(code: Int32(-result), operation: operation())
        }
        return result
    }

    /// For libc functions that return -1 and set errno.
    @discardableResult
    public static func libc(
        _ result: Int, _ operation: @autoclosure () -> String
    ) throws(SystemError) -> Int {
        guard result >= 0 else { throw SystemError(code: errno, operation: operation()) }
        return result
    }
}

/// System call numbers of x86-64 (arch/x86/entry/syscalls/syscall_64.tbl).
public enum SystemCall: Int, Sendable {
    case read = 0, write = 1, open = 2, close = 3, fstat = 5, lseek = 8, mmap = 9, mprotect = 10
    case munmap = 11, brk = 12, rtSigaction = 13, rtSigprocmask = 14, ioctl = 16, pread = 17
    case pwrite = 18, shmget = 29, shmat = 30, shmctl = 31, dup = 32, getitimer = 36
    case setitimer = 38, connect = 42, clone = 56, exit = 60, wait4 = 61, kill = 62, semget = 64, semop = 65
    case semctl = 66, shmdt = 67, msgget = 68, msgsnd = 69, msgrcv = 70, msgctl = 71, fcntl = 72
    case flock = 73, ftruncate = 77, getcwd = 79, chdir = 80, fchdir = 81, umask = 95
    case ptrace = 101, setpgid = 109, setsid = 112, setgroups = 116, setresuid = 117
    case setresgid = 119, setfsuid = 122, setfsgid = 123, capset = 126, rtSigqueueinfo = 129
    case sigaltstack = 131, mlock = 149, prctl = 157, archPrctl = 158, chroot = 161
    case sethostname = 170, tkill = 200, setThreadArea = 205, timerCreate = 222
    case timerSettime = 223, timerGettime = 224, timerDelete = 226, exitGroup = 231
    case epollCtl = 233, tgkill = 234, waitid = 247, ioprioSet = 251, ioprioGet = 252
    case inotifyAddWatch = 254, inotifyRemoveWatch = 255, unshare = 272, setRobustList = 273
    case getRobustList = 274, tee = 276, signalfd4 = 289, eventfd2 = 290, dup3 = 292
    case rtTgsigqueueinfo = 297, prlimit = 302, openByHandle = 304, setns = 308, processVMReadv = 310
    case processVMWritev = 311, kcmp = 312, schedSetattr = 314, schedGetattr = 315
    case memfdCreate = 319, userfaultfd = 323, rseq = 334, pidfdSendSignal = 424
    case pidfdOpen = 434, clone3 = 435, closeRange = 436, pidfdGetfd = 438
    case restartSyscall = 219, setTidAddress = 218, madvise = 28, timerfdSettime = 286
    case schedSetaffinity = 203, schedGetaffinity = 204, gettid = 186, fsync = 74, fdatasync = 75
    case copyFileRange = 326, semtimedop = 220, pipe2 = 293, timerfdCreate = 283, timerfdGettime = 287,
        mlockall = 151, personality = 135, setpriority = 141, inotifyInit1 = 294
    case epollCreate1 = 291, getcpu = 309, recvmsg = 47, mlock2 = 325, sendto = 44
    case pkeyMprotect = 329, pkeyAlloc = 330, pkeyFree = 331
}
