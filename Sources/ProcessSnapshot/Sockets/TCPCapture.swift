// SPDX-License-Identifier: Apache-2.0
import CheckpointImage
import Foundation
import Glibc
import LinuxSystem

/// TCP sockets (tcp(7)), read with TCP_REPAIR under the network lock.
///
/// Both ends of a connection are in the job; what is under way between them is the receiver's
/// queue plus that part of the sender's queue which the receiver has not got (sequence numbers
/// tell). Restart makes a fresh connection with the same addresses and sends it again.
struct TCPCapture {
    let context: CaptureContext

    enum Option {
        static let level: Int32 = 6, info: Int32 = 11, repair: Int32 = 19, queue: Int32 = 20
        static let queueSequence: Int32 = 21
    }

    func capture(_ source: DescriptorSource, id: UInt64, family: Int32) throws -> ImageOpenFile {
        let handle = source.handle
        guard let info = handle.optionBytes(Option.level, Option.info, capacity: 104), info.count >= 32
        else {
            throw SystemError(code: EIO, operation: "TCP_INFO of \(source.name)")
        }
        var socket = ImageTCPSocket()
        socket.id = id
        socket.family = UInt32(family)
        socket.state = UInt32(info[0])
        let local = SocketAddress.local(handle) ?? []
        if SocketAddress.port(local) != 0 { socket.local = Data(local); socket.bound = true }
        socket.options = SocketOptions.capture(handle, family: family, type: 1, tcp: true)
        if let reuse = context.reuseAddress[id] {
            socket.options.removeAll { $0.level == SOL_SOCKET && $0.name == SocketOptions.reuseAddress }
            if reuse != 0 {
                socket.options.append(
                    .with {
                        $0.level = SOL_SOCKET
                        $0.name = SocketOptions.reuseAddress
                        $0.value = Data(bytes(of: reuse))
                    })
            }
        }
        switch socket.state {
        case TCPState.listen:
            // tcpi_unacked and tcpi_sacked of a listener (net/ipv4/tcp.c, tcp_get_info).
            let waiting = value(UInt32.self, from: info, at: 24)
            context.acceptQueues.append((source, SocketAddress.port(local), waiting))
            socket.backlog = value(UInt32.self, from: info, at: 28)
        case TCPState.close:
            // tcpi_bytes_acked, tcpi_bytes_received: it was a connection, and has ended.
            if info.count >= 104, let all = handle.optionBytes(Option.level, Option.info, capacity: 256),
                all.count >= 136,
                value(UInt64.self, from: all, at: 120) + value(UInt64.self, from: all, at: 128) > 0
            {
                socket.ended = true
                socket.receiveQueue = try peek(handle)
            }
        default:
            socket.remote = Data(SocketAddress.remote(handle) ?? awaited(id))
            try queues(handle, &socket)
            try checkUrgent(source, socket)
            checkPeerLater(source, socket)
        }
        return .with { $0.tcp = socket }
    }

    /// The address that a connection which is not established yet goes to.
    private func awaited(_ inode: UInt64) -> [UInt8] {
        SocketDiagnostics.tcpConnections(states: SocketDiagnostics.beginningStates)
            .first { $0.inode == inode }?.remote ?? []
    }

    private func queues(_ handle: Descriptor, _ socket: inout ImageTCPSocket) throws {
        let (send, receive): (Int32, Int32) = (2, 1)  // TCP_SEND_QUEUE, TCP_RECV_QUEUE
        var unsent: Int32 = 0
        try handle.control(0x894B, &unsent)  // SIOCOUTQNSD
        socket.unsentBytes = UInt32(unsent)
        try handle.setOption(Option.level, Option.queue, send)
        socket.sendSequence = UInt32(bitPattern: try handle.option(Option.level, Option.queueSequence))
        socket.sendQueue = try peek(handle)
        try handle.setOption(Option.level, Option.queue, receive)
        socket.receiveSequence = UInt32(
            bitPattern: try handle.option(Option.level, Option.queueSequence))
        socket.receiveQueue = try peek(handle)
        try handle.setOption(Option.level, Option.queue, 0)
    }

    /// Reading stops at the urgent mark (tcp(7), SIOCATMARK), peeking too.
    private func checkUrgent(_ source: DescriptorSource, _ socket: ImageTCPSocket) throws {
        var byte: UInt8 = 0
        var (waiting, atMark): (Int32, Int32) = (0, 0)
        let urgent = recv(source.handle.number, &byte, 1, 1 | 2 | 0x40) > 0  // OOB, PEEK, DONTWAIT
        try source.handle.control(UInt(FIONREAD), &waiting)
        _ = try? source.handle.control(0x8905, &atMark)  // SIOCATMARK
        guard !urgent, atMark == 0, socket.receiveQueue.count == Int(waiting) else {
            throw context.refusal(.urgentData, source.pid, source.name)
        }
    }

    private func peek(_ handle: Descriptor) throws -> Data {
        var size = 1 << 16
        while true {
            var buffer = [UInt8](repeating: 0, count: size)
            let n = recv(handle.number, &buffer, size, 2 | 0x40)  // MSG_PEEK | MSG_DONTWAIT
            if n < 0 && (errno == EAGAIN || errno == ENOTCONN) { return Data() }
            try Kernel.libc(n, "read a TCP queue")
            if n < size { return Data(buffer[0..<n]) }
            size *= 4
        }
    }

    /// Afterwards each connection's other end must be in the job, or have ended, or wait
    /// untouched in one of the job's listeners.
    private func checkPeerLater(_ source: DescriptorSource, _ socket: ImageTCPSocket) {
        let context = context
        context.openFiles.deferred.append { [unowned context] in
            let local = SocketAddress.normalized(Array(socket.local))
            let remote = SocketAddress.normalized(Array(socket.remote))
            var listener: ImageTCPSocket?
            for file in context.inventory.openFiles {
                guard case .tcp(let other)? = file.kind else { continue }
                let otherLocal = SocketAddress.normalized(Array(other.local))
                if SocketAddress.normalized(Array(other.remote)) == local, otherLocal == remote {
                    return
                }
                if other.state == TCPState.listen,
                    SocketAddress.port(otherLocal) == SocketAddress.port(remote)
                {
                    listener = other
                }
            }
            let peerHasClosed = socket.state >= TCPState.closeWait || socket.state == TCPState.timeWait
            if peerHasClosed && !Self.isHeldOutside(socket) { return }
            guard listener != nil else {
                throw context.refusal(
                    .outsideConnection, source.pid,
                    "\(source.name) to \(SocketAddress.text(Array(socket.remote)))")
            }
            // In a backlog. Only what the kernel still holds on this side can be sent again.
            guard Self.sentNothing(source.handle, socket) else {
                throw context.refusal(
                    .pendingData, source.pid,
                    "\(source.name) to \(SocketAddress.text(Array(socket.remote)))")
            }
            if case .tcp(var pending)? = context.inventory.openFiles[Int(source.index)].kind {
                pending.pending = true
                context.inventory.openFiles[Int(source.index)].tcp = pending
            }
        }
    }

    /// After all peers were looked at: what waits to be accepted must have its client in the job. A
    /// connection whose client has closed it, or is elsewhere, shows nowhere else.
    func checkAcceptQueues() throws {
        let clients = context.inventory.openFiles.filter { $0.tcp.pending }
            .map { SocketAddress.port(Array($0.tcp.remote)) }
        for queue in context.acceptQueues {
            let waiting = context.acceptQueues.filter { $0.port == queue.port }
                .reduce(0) { $0 + Int($1.waiting) }
            guard waiting <= clients.count(where: { $0 == queue.port }) else {
                throw context.refusal(.pendingData, queue.source.pid, queue.source.name)
            }
        }
    }

    /// Whether some process still has the other end, which may have closed its direction only. Of
    /// another host's nothing can be known.
    private static func isHeldOutside(_ socket: ImageTCPSocket) -> Bool {
        let (local, remote) = (SocketAddress.normalized(Array(socket.local)), Array(socket.remote))
        let all = SocketDiagnostics.tcpConnections(states: SocketDiagnostics.connectedStates)
        let other = all.first {
            SocketAddress.normalized($0.remote) == local && $0.localPort == SocketAddress.port(remote)
        }
        if let other { return other.inode != 0 }
        return !SocketAddress.isOfThisHost(remote)
    }

    /// tcpi_bytes_acked (offset 120) counts the SYN as well.
    private static func sentNothing(_ handle: Descriptor, _ socket: ImageTCPSocket) -> Bool {
        guard let info = handle.optionBytes(Option.level, Option.info, capacity: 256), info.count >= 128
        else { return false }
        return value(UInt64.self, from: info, at: 120) <= 1
    }
}
