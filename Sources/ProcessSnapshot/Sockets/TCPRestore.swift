// SPDX-License-Identifier: Apache-2.0
import CheckpointImage
import Glibc
import LinuxSystem
import Tracing

/// TCP sockets. Every connection has both ends in the job, so it is made anew, with the same
/// addresses, and what was under way is sent again: exactly the bytes that the receiver's queue
/// held plus those of the sender's queue that the receiver had not got.
final class TCPRestore {
    private let context: RestoreContext
    private var sockets: [(index: Int, image: ImageTCPSocket)] = []
    private var handles: [Int: Descriptor] = [:]
    private var doors: [[UInt8]: Descriptor] = [:]
    /// Sockets whose connect(2) has not told the application its result yet.
    private var connecting: Set<Int> = []

    init(_ context: RestoreContext) {
        self.context = context
        for (i, file) in context.inventory.openFiles.enumerated() {
            guard case .tcp(let socket)? = file.kind else { continue }
            sockets.append((i, socket))
            if socket.state == TCPState.synSent { connecting.insert(i) }
        }
        for process in context.inventory.processes { addBlocked(process) }
    }

    /// A thread that was stopped in connect(2) makes the call again, perhaps on a connection that
    /// was established meanwhile.
    private func addBlocked(_ process: ImageProcess) {
        for thread in process.threads where !thread.exited {
            let registers = structure(user_regs_struct(), from: thread.registers)
            guard InterruptedSyscall.returnsToCall(registers),
                registers.orig_rax == UInt64(SystemCall.connect.rawValue),
                let descriptor = process.descriptors.first(where: {
                    UInt32(bitPattern: $0.number) == UInt32(truncatingIfNeeded: registers.rdi)
                })
            else { continue }
            connecting.insert(Int(descriptor.openFile))
        }
    }

    private var connections: [(index: Int, image: ImageTCPSocket)] {
        sockets.filter { ![TCPState.listen, TCPState.close].contains($0.image.state) }
    }

    func restoreAll() throws {
        freePorts()
        for socket in connections where handles[socket.index] == nil && !socket.image.pending {
            try connect(socket)
        }
        doors = [:]  // before the job's own listeners take these ports
        for socket in sockets where socket.image.state == TCPState.listen { try listen(socket) }
        for socket in sockets where socket.image.state == TCPState.close {
            if socket.image.ended {
                handles[socket.index] = try ended(socket.image)
                continue
            }
            let handle = try make(socket.image)
            // It may be the rest of a connection whose port is a listener's: then unbound.
            if socket.image.bound { try? SocketAddress.bind(handle, Array(socket.image.local)) }
            handles[socket.index] = handle
        }
        try pend { $0.state != TCPState.synSent }
        for socket in sockets where socket.image.state == TCPState.listen {
            try handles[socket.index]?.listen(backlog: socket.image.backlog)
        }
        // These had no answer yet; in a full backlog there still is no room for them.
        try pend { $0.state == TCPState.synSent }
        for socket in sockets {
            guard let handle = handles[socket.index] else { continue }
            SocketOptions.restore(socket.image.options, handle)
            if !socket.image.options.contains(where: {
                $0.name == SocketOptions.reuseAddress && $0.level == SOL_SOCKET
            }) {
                try? handle.setOption(SOL_SOCKET, SocketOptions.reuseAddress, 0)
            }
            context.files[socket.index] = handle
        }
    }

    /// Remains of the job's connections would hold their ports for a minute, whether it was killed
    /// or went on after the checkpoint and ended: those of the image, and those at the ports of its
    /// other sockets as long as nothing is still to be delivered.
    private func freePorts() {
        guard !sockets.isEmpty else { return }
        let ports = Set(sockets.map { SocketAddress.port(Array($0.image.local)) })
        let pairs = Set(
            connections.flatMap { c -> [[UInt16]] in
                let (a, b) = (
                    SocketAddress.port(Array(c.image.local)), SocketAddress.port(Array(c.image.remote))
                )
                return [[a, b], [b, a]]
            })
        for old in SocketDiagnostics.tcpConnections(states: SocketDiagnostics.endingStates)
        where old.inode == 0
            && (pairs.contains([old.localPort, old.remotePort])
                || old.isDelivered && ports.contains(old.localPort))
        {
            SocketDiagnostics.destroy(old)
        }
    }

    private func make(_ socket: ImageTCPSocket) throws -> Descriptor {
        let fd = Glibc.socket(Int32(socket.family), 1 | 0o2000000, 0)
        try Kernel.libc(Int(fd), "create a TCP socket")
        let handle = Descriptor(owning: fd)
        // Several sockets of the job share a port; the option is set back afterwards.
        try handle.setOption(SOL_SOCKET, SocketOptions.reuseAddress, 1)
        if let only = socket.options.first(where: { $0.level == 41 && $0.name == 26 }) {  // IPV6_V6ONLY
            try handle.setOption(41, 26, value(Int32.self, from: Array(only.value)))
        }
        return handle
    }

    /// The other end, if a process of the job has it.
    private func peer(of socket: ImageTCPSocket) -> (index: Int, image: ImageTCPSocket)? {
        let local = SocketAddress.normalized(Array(socket.local))
        let remote = SocketAddress.normalized(Array(socket.remote))
        return connections.first {
            SocketAddress.normalized(Array($0.image.local)) == remote
                && SocketAddress.normalized(Array($0.image.remote)) == local
        }
    }

    /// Makes a connection whose `first` end called connect(2), as far as that matters any more.
    private func connect(_ first: (index: Int, image: ImageTCPSocket)) throws {
        let second = peer(of: first.image)
        // Whichever port is a listener's must be the accepting side.
        let (client, server) =
            isListening(first.image) && second != nil
            ? (second!.image, first.image) : (first.image, second?.image)
        let serverAddress = Array(client.remote)
        let door = try self.door(
            serverAddress, family: server.map { Int32($0.family) } ?? Int32(client.family))
        let clientHandle = try make(client)
        // Receive buffers before the handshake: they decide the window that is offered.
        SocketOptions.setReceiveBuffer(clientHandle, like: client.options)
        SocketOptions.setReceiveBuffer(door, like: server?.options ?? [])
        bindClient(clientHandle, client)
        let clientIndex = client.id == first.image.id ? first.index : second!.index
        try start(clientHandle, serverAddress, finish: !connecting.contains(clientIndex))
        let fd = accept(door.number, nil, nil)
        try Kernel.libc(Int(fd), "accept a restored connection")
        let serverHandle = try Descriptor(owning: fd).duplicate()
        try transfer(client, clientHandle, server, serverHandle)
        handles[clientIndex] = clientHandle
        if let second {
            handles[clientIndex == first.index ? second.index : first.index] = serverHandle
        }
    }

    /// In the host's network another program may have got the port meanwhile; the connection
    /// then has another one on this side, which matters less than having it.
    private func bindClient(_ handle: Descriptor, _ client: ImageTCPSocket) {
        try? SocketAddress.bind(handle, Array(client.local))
    }

    /// Connects. Without `finish` the kernel is left owing the result (SS_CONNECTING in
    /// net/ipv4/af_inet.c): the application's next connect(2) gives 0 and not EISCONN.
    private func start(_ handle: Descriptor, _ address: [UInt8], finish: Bool) throws(SystemError) {
        if finish { return try SocketAddress.connect(handle, address) }
        let flags = fcntl(handle.number, F_GETFL)
        _ = fcntl(handle.number, F_SETFL, flags | O_NONBLOCK)
        defer { _ = fcntl(handle.number, F_SETFL, flags) }
        do { try SocketAddress.connect(handle, address) } catch where error.code == EINPROGRESS {}
    }

    private func isListening(_ socket: ImageTCPSocket) -> Bool {
        sockets.contains {
            $0.image.state == TCPState.listen
                && SocketAddress.port(Array($0.image.local)) == SocketAddress.port(Array(socket.local))
        }
    }

    /// A listener of Fermata's own at the address, for as long as connections are made.
    private func door(_ address: [UInt8], family: Int32) throws -> Descriptor {
        if let door = doors[address] { return door }
        var image = ImageTCPSocket()
        image.family = UInt32(address.first ?? UInt8(family))
        let handle = try make(image)
        try SocketAddress.bindPatiently(handle, address)
        try handle.listen(backlog: 128)
        doors[address] = handle
        return handle
    }

    /// Puts everything that was under way back, both directions, then what was shut down.
    private func transfer(
        _ a: ImageTCPSocket, _ aHandle: Descriptor, _ b: ImageTCPSocket?, _ bHandle: Descriptor
    ) throws {
        let toB = b.map { Self.underWay(from: a, to: $0) } ?? Array(a.sendQueue)
        let toA = b.map { Self.underWay(from: $0, to: a) } ?? Array(a.receiveQueue)
        SocketOptions.makeRoomToSend(aHandle, bytes: toB.count)
        SocketOptions.makeRoomToSend(bHandle, bytes: toA.count)
        try send(toB, aHandle)
        try send(toA, bHandle)
        if Self.hasSentEnd(a) { shutdown(aHandle.number, Int32(SHUT_WR)) }
        if let b, Self.hasSentEnd(b) { shutdown(bHandle.number, Int32(SHUT_WR)) }
        // Without a second end in the job it had closed: dropping the handle does that again.
    }

    /// FIN_WAIT1, FIN_WAIT2, LAST_ACK, CLOSING: this side has shut down its direction.
    private static func hasSentEnd(_ socket: ImageTCPSocket) -> Bool {
        [TCPState.finWait1, TCPState.finWait2, TCPState.lastAck, TCPState.closing].contains(socket.state)
    }

    /// The receiver's queue, then what it had not received of the sender's.
    static func underWay(from sender: ImageTCPSocket, to receiver: ImageTCPSocket) -> [UInt8] {
        // A FIN has one sequence number behind the data, on both sides.
        let end = sender.sendSequence &- (hasSentEnd(sender) ? 1 : 0)
        let firstUnacknowledged = end &- UInt32(sender.sendQueue.count)
        let overlap = Int(Int32(bitPattern: receiver.receiveSequence &- firstUnacknowledged))
        let known = max(0, min(overlap, sender.sendQueue.count))
        return Array(receiver.receiveQueue) + Array(sender.sendQueue.dropFirst(known))
    }

    private func send(_ bytes: [UInt8], _ handle: Descriptor) throws {
        var done = 0
        let flags: Int32 = 0x40 | 0x4000 // MSG_DONTWAIT, MSG_NOSIGNAL
        let limit = Clock.monotonic() + 10_000_000_000
        while done < bytes.count {
            let n = bytes.withUnsafeBytes {
                Glibc.send(handle.number, $0.baseAddress! + done, bytes.count - done, flags)
            }
            if n < 0 && errno == EAGAIN && Clock.monotonic() < limit {
                Clock.sleep(microseconds: 200)
                continue
            }
            try Kernel.libc(n, "refill a TCP connection with \(bytes.count) bytes")
            done += n
        }
    }

    /// A connection that is over, with what is left to read: made with a short-lived peer.
    private func ended(_ socket: ImageTCPSocket) throws -> Descriptor {
        let door = try make(socket)
        try door.listen(backlog: 1)
        var address = SocketAddress.local(door) ?? []
        SocketAddress.setLoopback(&address)
        let handle = try make(socket)
        try SocketAddress.connect(handle, address)
        let fd = accept(door.number, nil, nil)
        try Kernel.libc(Int(fd), "accept a restored connection")
        let peer = Descriptor(owning: fd)
        SocketOptions.makeRoomToSend(peer, bytes: socket.receiveQueue.count)
        try send(Array(socket.receiveQueue), peer)
        shutdown(peer.number, Int32(SHUT_WR))
        shutdown(handle.number, Int32(SHUT_WR))
        return handle
    }

    private func listen(_ socket: (index: Int, image: ImageTCPSocket)) throws {
        let handle = try make(socket.image)
        try SocketAddress.bindPatiently(handle, Array(socket.image.local))
        // Room for all that wait, should the application have made its backlog shorter since.
        try handle.listen(backlog: socket.image.backlog + UInt32(connections.count))
        handles[socket.index] = handle
    }

    /// Connections that wait in a listener's backlog with nothing received yet.
    private func pend(_ chosen: (ImageTCPSocket) -> Bool) throws {
        for socket in connections where socket.image.pending && chosen(socket.image) {
            let handle = try make(socket.image)
            bindClient(handle, socket.image)
            try start(
                handle, Array(socket.image.remote), finish: !connecting.contains(socket.index))
            try send(Array(socket.image.sendQueue), handle)
            handles[socket.index] = handle
        }
    }
}
