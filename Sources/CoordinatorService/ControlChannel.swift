// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import LinuxSystem
import SwiftProtobuf

/// Where coordinators of running jobs are found: one Unix socket per job in a folder of the
/// user's own, mode 0700.
public struct RuntimeFolder: Sendable {
    public let path: String

    public init(path: String) { self.path = path }

    /// FERMATA_RUNTIME_DIR, else $XDG_RUNTIME_DIR/fermata, else /tmp/fermata-<uid>.
    public static func locate(_ environment: (String) -> String?) -> RuntimeFolder {
        if let value = environment("FERMATA_RUNTIME_DIR"), !value.isEmpty { return .init(path: value) }
        if let value = environment("XDG_RUNTIME_DIR"), !value.isEmpty {
            return .init(path: value + "/fermata")
        }
        return .init(path: "/tmp/fermata-\(getuid())")
    }

    public func socket(_ job: String) -> String { "\(path)/\(job).sock" }
    /// Where the job's processes get what their verbs share.
    public func verbs(_ job: String) -> String { "\(path)/\(job).verbs" }
    public func record(_ job: String) -> String { "\(path)/\(job).job" }
    /// Whoever has it locked is the job's coordinator, or is becoming it.
    public func lock(_ job: String) -> String { "\(path)/\(job).lock" }

    /// Jobs that have a record here, also those whose coordinator has gone.
    public func jobs() -> [String] {
        ((try? ProcFS.names(in: path)) ?? []).filter { $0.hasSuffix(".job") }.map {
            String($0.dropLast(4))
        }
    }

    /// Creates the folder; refuses one that somebody else could have put there.
    public func prepare() throws {
        if mkdir(path, 0o700) != 0 && errno != EEXIST {
            let parent = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? ""
            try FileManager.default.createDirectory(atPath: parent, withIntermediateDirectories: true)
            mkdir(path, 0o700)
        }
        var status = stat()
        guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR, status.st_uid == geteuid()
        else {
            throw SystemError(
                code: EPERM, operation: "use \(path) for control sockets: not a folder of your own")
        }
    }
}

/// Length-prefixed messages over a stream socket.
public struct ControlChannel: Sendable {
    public let descriptor: Descriptor
    private static let maximumBytes = 64 << 20

    public init(_ descriptor: Descriptor) { self.descriptor = descriptor }

    /// Connects to a job's coordinator. Throws ECONNREFUSED or ENOENT when there is none.
    public static func connect(_ path: String) throws -> ControlChannel {
        let fd = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | 0o2000000, 0)
        try Kernel.libc(Int(fd), "create a socket")
        let descriptor = Descriptor(owning: fd)
        var address = try self.address(path)
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(fd, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        try Kernel.libc(Int(result), "connect to \(path)")
        return ControlChannel(descriptor)
    }

    /// Listens at a path; what is left there by a dead coordinator is removed.
    public static func listen(_ path: String) throws -> Descriptor {
        let fd = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | 0o2000000, 0)
        try Kernel.libc(Int(fd), "create a socket")
        let descriptor = Descriptor(owning: fd)
        unlink(path)
        var address = try self.address(path)
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.bind(fd, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        try Kernel.libc(Int(result), "listen at \(path)")
        chmod(path, 0o600)
        try Kernel.libc(Int(Glibc.listen(fd, 16)), "listen at \(path)")
        return descriptor
    }

    /// Throws ENAMETOOLONG for what cannot be a socket's name (unix(7)).
    public static func check(_ path: String) throws { _ = try address(path) }

    private static func address(_ path: String) throws -> sockaddr_un {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count < 108 else {
            throw SystemError(
                code: ENAMETOOLONG,
                operation: "use \(path): longer than 107 bytes; set FERMATA_RUNTIME_DIR")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        return address
    }

    public func send(_ message: some Message) throws {
        let payload: [UInt8] = try message.serializedBytes()
        let frame = bytes(of: UInt32(payload.count)) + payload
        var done = 0
        while done < frame.count {
            let n = frame.withUnsafeBytes {
                Glibc.send(descriptor.number, $0.baseAddress! + done, frame.count - done, 0x4000)
            }
            if n < 0 && errno == EINTR { continue }
            try Kernel.libc(n, "send")
            done += n
        }
    }

    /// The next message; nil at the end of the stream.
    public func receive<M: Message>(_ type: M.Type) throws -> M? {
        guard let header = try exactly(4) else { return nil }
        let length = Int(value(UInt32.self, from: header))
        guard length <= Self.maximumBytes else {
            throw SystemError(code: EMSGSIZE, operation: "receive a message of \(length) bytes")
        }
        guard let payload = try exactly(length) else { return nil }
        return try M(serializedBytes: payload)
    }

    private func exactly(_ count: Int) throws -> [UInt8]? {
        var result = [UInt8](repeating: 0, count: count)
        var done = 0
        while done < count {
            let n = result.withUnsafeMutableBytes {
                recv(descriptor.number, $0.baseAddress! + done, count - done, 0)
            }
            if n < 0 && errno == EINTR { continue }
            try Kernel.libc(n, "receive")
            if n == 0 { return nil }
            done += n
        }
        return result
    }

    /// From now on `receive` throws EAGAIN when nothing comes for so long (SO_RCVTIMEO, socket(7)).
    public func limitWaiting(seconds: Int) throws(SystemError) {
        var limit = timeval(tv_sec: seconds, tv_usec: 0)
        let size = socklen_t(MemoryLayout<timeval>.size)
        try Kernel.libc(
            Int(setsockopt(descriptor.number, SOL_SOCKET, SO_RCVTIMEO, &limit, size)), "limit a wait")
    }

    /// Who is at the other end (SO_PEERCRED, unix(7)): struct ucred.
    private var credentials: [UInt8]? {
        descriptor.optionBytes(SOL_SOCKET, 17, capacity: 12).flatMap { $0.count == 12 ? $0 : nil }
    }

    public var peer: pid_t? { credentials.map { value(pid_t.self, from: $0) } }

    /// True when the other end is the same user or root.
    public func isTrusted() -> Bool {
        guard let raw = credentials else { return false }
        let uid = value(UInt32.self, from: raw, at: 4)
        return uid == geteuid() || uid == 0
    }
}
