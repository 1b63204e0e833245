// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc

/// A file descriptor that this process owns: closed when the last reference goes.
///
/// A class, not a noncopyable struct: descriptors are kept in tables keyed by resource, shared
/// between the places that still need them, and closed once by whoever is last.
public final class Descriptor: @unchecked Sendable {
    public let number: Int32

    /// Takes ownership of `number`.
    public init(owning number: Int32) { self.number = number }

    deinit { close(number) }

    /// Opens `path` close-on-exec. Throws `SystemError` with the path in it.
    public static func open(
        _ path: String, _ flags: Int32, mode: mode_t = 0
    ) throws(SystemError) -> Descriptor {
        let number = Glibc.open(path, flags | O_CLOEXEC, mode)
        guard number >= 0 else { throw SystemError(code: errno, operation: "open \(path)") }
        return Descriptor(owning: number)
    }

    /// `path` relative to this directory.
    public func open(
        at path: String, _ flags: Int32, mode: mode_t = 0
    ) throws(SystemError) -> Descriptor {
        let fd = Glibc.openat(number, path, flags | O_CLOEXEC, mode)
        guard fd >= 0 else { throw SystemError(code: errno, operation: "open \(path)") }
        return Descriptor(owning: fd)
    }

    public func status() throws(SystemError) -> stat {
        var result = stat()
        try Kernel.libc(Int(fstat(number, &result)), "fstat")
        return result
    }

    /// Reads exactly `bytes.count` at `offset`; a short file is an error (EIO).
    public func read(
        into bytes: UnsafeMutableRawBufferPointer, at offset: Int64
    ) throws(SystemError) {
        var done = 0
        while done < bytes.count {
            let n = pread(number, bytes.baseAddress! + done, bytes.count - done, Int(offset) + done)
            if n < 0 && errno == EINTR { continue }
            guard n > 0 else {
                throw SystemError(code: n == 0 ? EIO : errno, operation: "read at \(offset)")
            }
            done += n
        }
    }

    public func write(
        _ bytes: UnsafeRawBufferPointer, at offset: Int64
    ) throws(SystemError) {
        var done = 0
        while done < bytes.count {
            let n = pwrite(number, bytes.baseAddress! + done, bytes.count - done, Int(offset) + done)
            if n < 0 && errno == EINTR { continue }
            guard n > 0 else { throw SystemError(code: errno, operation: "write at \(offset)") }
            done += n
        }
    }

    /// Everything from the current position to the end.
    public func readToEnd() throws(SystemError) -> [UInt8] {
        var result: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let n = Glibc.read(number, &chunk, chunk.count)
            if n < 0 && errno == EINTR { continue }
            guard n >= 0 else { throw SystemError(code: errno, operation: "read") }
            if n == 0 { return result }
            result += chunk[0..<n]
        }
    }

    /// A connected pair of Unix sockets, close-on-exec.
    public static func socketPair(
        _ type: Int32
    ) throws(SystemError) -> (Descriptor, Descriptor) {
        var pair: [Int32] = [0, 0]
        try Kernel.libc(
            Int(socketpair(AF_UNIX, type | Int32(SOCK_CLOEXEC.rawValue), 0, &pair)), "socketpair")
        return (Descriptor(owning: pair[0]), Descriptor(owning: pair[1]))
    }

    /// A pipe, close-on-exec: (read end, write end).
    public static func pipe(flags: Int32 = 0) throws(SystemError) -> (Descriptor, Descriptor) {
        var pair: [Int32] = [0, 0]
        let result = pair.withUnsafeMutableBytes {
            Kernel.raw(.pipe2, Int(bitPattern: $0.baseAddress), Int(flags | O_CLOEXEC))
        }
        try Kernel.check(result, "pipe")
        return (Descriptor(owning: pair[0]), Descriptor(owning: pair[1]))
    }

    /// A pidfd of one thread, also of one that is not its process's leader (pidfd_open(2),
    /// PIDFD_THREAD, Linux 6.9).
    public static func ofThread(_ tid: pid_t) throws(SystemError) -> Descriptor {
        var fd = Kernel.raw(.pidfdOpen, Int(tid))
        if fd == -Int(EINVAL) || fd == -Int(ENOENT) {
            fd = Kernel.raw(.pidfdOpen, Int(tid), Int(O_EXCL))
        }
        return Descriptor(owning: Int32(try Kernel.check(fd, "pidfd_open \(tid)")))
    }

    /// The same open file description at the lowest free number at or above `minimum`.
    public func duplicate(atLeast minimum: Int32 = 3) throws(SystemError) -> Descriptor {
        let fd = fcntl(number, F_DUPFD_CLOEXEC, minimum)
        guard fd >= 0 else { throw SystemError(code: errno, operation: "dup") }
        return Descriptor(owning: fd)
    }

    /// listen(2). Again on a listening socket: changes the length of its backlog.
    public func listen(backlog: UInt32) throws(SystemError) {
        try Kernel.libc(Int(Glibc.listen(number, Int32(clamping: backlog))), "listen")
    }

    public func setOption(_ level: Int32, _ name: Int32, _ value: Int32) throws(SystemError) {
        var value = value
        try Kernel.libc(
            Int(setsockopt(number, level, name, &value, 4)), "setsockopt(\(level), \(name))")
    }

    public func option(_ level: Int32, _ name: Int32) throws(SystemError) -> Int32 {
        var value: Int32 = 0
        var length = socklen_t(4)
        try Kernel.libc(
            Int(getsockopt(number, level, name, &value, &length)), "getsockopt(\(level), \(name))")
        return value
    }

    /// A socket option of any shape, as the kernel returns it.
    public func optionBytes(_ level: Int32, _ name: Int32, capacity: Int) -> [UInt8]? {
        var value = [UInt8](repeating: 0, count: capacity)
        var length = socklen_t(capacity)
        guard getsockopt(number, level, name, &value, &length) == 0 else { return nil }
        return Array(value[0..<Int(length)])
    }

    /// ioctl(2) that fills or takes one value.
    @discardableResult
    public func control<T>(_ request: UInt, _ value: inout T) throws(SystemError) -> Int {
        let result = withUnsafeMutablePointer(to: &value) {
            Kernel.raw(.ioctl, Int(number), Int(bitPattern: request), Int(bitPattern: $0))
        }
        return try Kernel.check(result, "ioctl 0x\(String(request, radix: 16))")
    }
}
