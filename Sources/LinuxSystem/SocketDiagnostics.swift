// SPDX-License-Identifier: Apache-2.0
import Glibc

/// sock_diag(7): what the kernel knows of sockets beyond their descriptors.
public enum SocketDiagnostics {
    public struct Unix: Sendable {
        public init() {}

        public var inode: UInt64 = 0
        public var type: UInt8 = 0
        public var state: UInt8 = 0
        /// Inode of the peer; 0 without one.
        public var peer: UInt64 = 0
        /// sun_path bytes; a leading 0 means abstract. Empty: unnamed.
        public var name: [UInt8] = []
        /// Listener: inodes of the connecting sockets that wait to be accepted.
        public var pending: [UInt64] = []
        /// Inode of the file system entry it is bound to.
        public var fileInode: UInt32 = 0
        public var queued: UInt32 = 0
        /// Listener: the backlog.
        public var backlog: UInt32 = 0
        /// Memory of what was sent and not yet received, in bytes.
        public var sent: UInt32 = 0
        public var shutdown: UInt8 = 0
    }

    /// All Unix sockets of this network namespace.
    public static func unixSockets() throws(SystemError) -> [Unix] {
        // struct unix_diag_req: family, protocol, pad, states, ino, show, cookie[2]
        var request: [UInt8] = [UInt8(AF_UNIX), 0, 0, 0]
        request += bytes(of: UInt32.max) + bytes(of: UInt32(0))
        request += bytes(of: UInt32(1 | 2 | 4 | 8 | 16))  // NAME VFS PEER ICONS RQLEN
        request += bytes(of: UInt64.max)
        return try dump(request).map { message in
            var entry = Unix()
            entry.type = message[1]
            entry.state = message[2]
            entry.inode = UInt64(value(UInt32.self, from: message, at: 4))
            for (kind, content) in attributes(message, from: 16) {
                switch kind {
                case 0: entry.name = content
                case 1: entry.fileInode = value(UInt32.self, from: content)
                case 2: entry.peer = UInt64(value(UInt32.self, from: content))
                case 3:
                    entry.pending = stride(from: 0, to: content.count, by: 4).map {
                        UInt64(value(UInt32.self, from: content, at: $0))
                    }
                case 4:
                    entry.queued = value(UInt32.self, from: content)
                    entry.backlog = value(UInt32.self, from: content, at: 4)
                    entry.sent = entry.state == 10 ? 0 : entry.backlog
                case 6: entry.shutdown = content.first ?? 0
                default: break
                }
            }
            return entry
        }
    }

    /// A TCP connection as struct inet_diag_msg (linux/inet_diag.h) tells it.
    public struct TCP: Sendable {
        public let localPort: UInt16
        public let remotePort: UInt16
        /// 0: no process has it any more.
        public let inode: UInt64
        /// FIN_WAIT2 or TIME_WAIT: the other end has got everything that was sent.
        public let isDelivered: Bool
        let family: UInt8
        /// struct inet_diag_sockid, with the cookie that makes it unmistakable.
        let id: [UInt8]

        /// The other end as struct sockaddr_in or sockaddr_in6; getpeername(2) does not tell it
        /// before the connection is established.
        public var remote: [UInt8] {
            let port = Array(id[2..<4])
            return family == UInt8(AF_INET)
                ? [family, 0] + port + id[20..<24] + [UInt8](repeating: 0, count: 8)
                : [family, 0] + port + [0, 0, 0, 0] + id[20..<36] + id[36..<40]
        }
    }

    /// SYN_SENT: connect(2) has begun.
    public static let beginningStates = TCPState.set(TCPState.synSent)
    /// All but CLOSE and LISTEN.
    public static let connectedStates: UInt32 = 0xfff & ~TCPState.set(TCPState.close, TCPState.listen)
    /// TIME_WAIT, FIN_WAIT1 and 2, LAST_ACK, CLOSING.
    public static let endingStates = TCPState.set(
        TCPState.finWait1, TCPState.finWait2, TCPState.timeWait, TCPState.lastAck, TCPState.closing)

    /// Connections of this network namespace; `states`: one of the sets above.
    public static func tcpConnections(states: UInt32) -> [TCP] {
        var result: [TCP] = []
        for family in [UInt8(AF_INET), UInt8(AF_INET6)] {
            // struct inet_diag_req_v2: family, protocol, ext, pad, states, inet_diag_sockid
            let request: [UInt8] =
                [family, 6, 0, 0] + bytes(of: states) + [UInt8](repeating: 0, count: 48)
            for message in (try? dump(request)) ?? [] where message.count >= 72 {
                let state = UInt32(message[1])
                result.append(
                    TCP(
                        localPort: UInt16(message[4]) << 8 | UInt16(message[5]),
                        remotePort: UInt16(message[6]) << 8 | UInt16(message[7]),
                        inode: UInt64(value(UInt32.self, from: message, at: 68)),
                        isDelivered: state == TCPState.finWait2 || state == TCPState.timeWait,
                        family: message[0], id: Array(message[4..<52])))
            }
        }
        return result
    }

    /// Frees its ports (SOCK_DESTROY). Errors are of no consequence: it was gone already.
    public static func destroy(_ connection: TCP) {
        let request: [UInt8] = [connection.family, 6, 0, 0] + bytes(of: UInt32.max) + connection.id
        _ = try? exchange(request, type: 21, flags: 1 | 4)  // NLM_F_REQUEST | NLM_F_ACK
    }

    private static func dump(_ request: [UInt8]) throws(SystemError) -> [[UInt8]] {
        try exchange(request, type: 20, flags: 1 | 0x300)  // SOCK_DIAG_BY_FAMILY, REQUEST|DUMP
    }

    /// One request; all answers up to NLMSG_DONE, without their headers.
    private static func exchange(
        _ request: [UInt8], type: UInt16, flags: UInt16
    ) throws(SystemError) -> [[UInt8]] {
        let netlink = Descriptor(owning: socket(AF_NETLINK, 3 | 0o2000000, 4))
        guard netlink.number >= 0 else { throw SystemError(code: errno, operation: "sock_diag") }
        var message = bytes(of: UInt32(16 + request.count)) + bytes(of: type) + bytes(of: flags)
        message += bytes(of: UInt32(1)) + bytes(of: UInt32(0)) + request
        try Kernel.libc(send(netlink.number, message, message.count, 0), "sock_diag")
        var result: [[UInt8]] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let n = recv(netlink.number, &buffer, buffer.count, 0)
            if n < 0 && errno == EINTR { continue }
            try Kernel.libc(n, "sock_diag")
            var offset = 0
            while offset + 16 <= n {
                let length = Int(value(UInt32.self, from: buffer, at: offset))
                guard length >= 16, offset + length <= n else { break }
                switch value(UInt16.self, from: buffer, at: offset + 4) {
                case 2:  // NLMSG_ERROR: the acknowledgement, or a refusal
                    let error = value(Int32.self, from: buffer, at: offset + 16)
                    if error == 0 { return result }
                    throw SystemError(code: -error, operation: "sock_diag")
                case 3: return result
                default: result.append(Array(buffer[(offset + 16)..<(offset + length)]))
                }
                offset += (length + 3) & ~3
            }
            if flags & 0x300 == 0 && n == 0 { return result }
        }
    }

    private static func attributes(_ message: [UInt8], from start: Int) -> [(UInt16, [UInt8])] {
        var result: [(UInt16, [UInt8])] = []
        var offset = start
        while offset + 4 <= message.count {
            let length = Int(value(UInt16.self, from: message, at: offset))
            guard length >= 4, offset + length <= message.count else { break }
            result.append(
                (
                    value(UInt16.self, from: message, at: offset + 2),
                    Array(message[(offset + 4)..<(offset + length)])
                ))
            offset += (length + 3) & ~3
        }
        return result
    }
}
