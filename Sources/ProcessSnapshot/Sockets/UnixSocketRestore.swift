// SPDX-License-Identifier: Apache-2.0
import CLinux
import CheckpointImage
import ImageStore
import Glibc
import LinuxSystem

/// Unix sockets: listeners first, then connections, then what waits in the queues, and last the
/// connections that nobody has accepted yet.
final class UnixSocketRestore {
    private let context: RestoreContext
    private var sockets: [UInt64: (index: Int, image: ImageUnixSocket)] = [:]
    private var handles: [UInt64: Descriptor] = [:]
    /// Other ends that only Fermata holds, closed when the queues are filled.
    private var ghosts: [UInt64: Descriptor] = [:]
    private let cloexec: Int32 = 0o2000000

    init(_ context: RestoreContext) {
        self.context = context
        for (i, file) in context.inventory.openFiles.enumerated() {
            if case .unixSocket(let socket)? = file.kind { sockets[socket.id] = (i, socket) }
        }
    }

    func restoreAll() throws {
        for (_, socket) in ordered where socket.image.state == 10 { try listen(socket.image) }
        for (_, socket) in ordered where handles[socket.image.id] == nil { try create(socket.image) }
        for (id, handle) in handles {
            guard let socket = sockets[id] else { continue }
            context.files[socket.index] = handle
        }
    }

    /// After every description exists: messages may carry any of them.
    func fillQueues() throws {
        // Before: SO_PASSCRED decides what a message carries. After: filling changes the buffers.
        for (id, handle) in handles {
            if let s = sockets[id] { SocketOptions.restore(s.image.options, handle) }
        }
        for (_, socket) in ordered where !socket.image.messages.isEmpty { try fill(socket.image) }
        for (_, socket) in ordered where socket.image.state == 10 { try pend(socket.image) }
        for (_, socket) in ordered {
            guard let handle = handles[socket.image.id] else { continue }
            SocketOptions.restore(socket.image.options, handle)
            let how: Int32? = [1: 0, 2: 1, 3: 2][Int32(socket.image.shutdown)]  // SHUT_RD, WR, RDWR
            if let how { shutdown(handle.number, how) }
        }
        ghosts = [:]
        handles = [:]
    }

    private var ordered: [(UInt64, (index: Int, image: ImageUnixSocket))] {
        sockets.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    private func make(_ socket: ImageUnixSocket) throws -> Descriptor {
        let fd = Glibc.socket(AF_UNIX, Int32(socket.type) | cloexec, 0)
        try Kernel.libc(Int(fd), "create a Unix socket")
        return Descriptor(owning: fd)
    }

    private func address(_ bytes: [UInt8]) -> [UInt8] { [UInt8(AF_UNIX), 0] + bytes }

    /// Binds to the name the socket had; a stale file of a killed job is removed first.
    private func bind(_ handle: Descriptor, _ socket: ImageUnixSocket) throws {
        guard !socket.address.isEmpty else { return }
        let name = Array(socket.address)
        if name[0] == 0 { return try SocketAddress.bind(handle, address(name)) }
        let path = String(decoding: name.prefix { $0 != 0 }, as: UTF8.self)
        var status = stat()
        if lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFSOCK { unlink(path) }
        if path.hasPrefix("/") { try makeParent(of: path) }
        try SocketAddress.bind(handle, address(Array(path.utf8) + [0]))
        if socket.namedByFile { chmod(path, mode_t(socket.mode)) } else { unlink(path) }
    }

    private func listen(_ socket: ImageUnixSocket) throws {
        let handle = try make(socket)
        try bind(handle, socket)
        // Room for all that wait, should the application have made its backlog shorter since.
        try handle.listen(backlog: socket.backlog + UInt32(socket.pending.count))
        handles[socket.id] = handle
    }

    private func create(_ socket: ImageUnixSocket) throws {
        let pendingSomewhere = sockets.values.contains { $0.image.pending.contains(socket.id) }
        if socket.type == 2 { return try datagram(socket) }
        guard socket.state == 1, !pendingSomewhere else {
            let handle = try make(socket)
            if socket.state != 10 { try? bind(handle, socket) }
            handles[socket.id] = handle
            return
        }
        try connected(socket, peer: sockets[socket.peer]?.image)
    }

    /// A connected pair. The accepted end carries its listener's name, so it is accepted again
    /// from that listener if there still is one.
    private func connected(_ socket: ImageUnixSocket, peer: ImageUnixSocket?) throws {
        var (accepted, client) = (socket, peer)
        if socket.address.isEmpty, let peer, !peer.address.isEmpty {
            (accepted, client) = (peer, socket)
        }
        var pair: (Descriptor, Descriptor)?
        if !accepted.address.isEmpty,
            let listener = sockets.values.first(where: {
                $0.image.state == 10 && $0.image.address == accepted.address
            }), let door = handles[listener.image.id]
        {
            let other = try make(accepted)
            if let client, !client.address.isEmpty { try? bind(other, client) }
            let name = Array(accepted.address)
            let target = name[0] == 0 ? name : Array(name.prefix { $0 != 0 }) + [0]
            if (try? SocketAddress.connect(other, address(target))) != nil {
                let fd = accept(door.number, nil, nil)
                if fd >= 0 { pair = (try Descriptor(owning: fd).duplicate(), other) }
            }
        }
        let ends = try pair ?? Descriptor.socketPair(Int32(socket.type))
        handles[accepted.id] = ends.0
        if let client { handles[client.id] = ends.1 } else { ghosts[accepted.id] = ends.1 }
    }

    private func datagram(_ socket: ImageUnixSocket) throws {
        if let peer = sockets[socket.peer]?.image, peer.peer == socket.id,
            socket.address.isEmpty, peer.address.isEmpty
        {
            let ends = try Descriptor.socketPair(Int32(socket.type))
            handles[socket.id] = ends.0
            handles[peer.id] = ends.1
            return
        }
        if socket.address.isEmpty, !socket.messages.isEmpty, sockets[socket.peer] == nil {
            let ends = try Descriptor.socketPair(Int32(socket.type))  // its peer has closed
            handles[socket.id] = ends.0
            ghosts[socket.id] = ends.1
            return
        }
        let handle = try make(socket)
        try bind(handle, socket)
        handles[socket.id] = handle
    }

    /// Connections between named datagram sockets, when all are bound.
    func connectDatagrams() throws {
        for (_, socket) in ordered where socket.image.type == 2 && socket.image.peer != 0 {
            guard let peer = sockets[socket.image.peer]?.image, !peer.address.isEmpty,
                let handle = handles[socket.image.id]
            else { continue }
            let name = Array(peer.address)
            try SocketAddress.connect(
                handle, address(name[0] == 0 ? name : Array(name.prefix { $0 != 0 }) + [0]))
        }
    }

    // MARK: queues

    private func fill(_ socket: ImageUnixSocket) throws {
        let total = socket.messages.reduce(0) { $0 + $1.data.count + 512 }
        for message in socket.messages {
            let (sender, target) = try route(message, to: socket)
            SocketOptions.makeRoomToSend(sender, bytes: total)
            let numbers = message.openFiles.compactMap { context.files[Int($0)]?.number }
            let data = Array(message.data)
            var done = 0
            repeat {
                let n = data.withUnsafeBytes {
                    fermata_send_message(
                        sender.number, $0.baseAddress.map { $0 + done }, data.count - done,
                        numbers, done == 0 ? Int32(numbers.count) : 0, target, UInt32(target.count))
                }
                try Kernel.check(n, "refill a Unix socket with \(data.count) bytes")
                done += n
            } while done < data.count
        }
    }

    /// From which socket a message comes, and the address to send it to (empty: connected).
    private func route(
        _ message: ImageMessage, to socket: ImageUnixSocket
    ) throws -> (Descriptor, [UInt8]) {
        if let ghost = ghosts[socket.id] { return (ghost, []) }
        if socket.type != 2 || socket.address.isEmpty {
            guard let peer = handles[socket.peer] else {
                throw RestoreError("a Unix socket with waiting messages has no peer")
            }
            return (peer, [])
        }
        let name = Array(socket.address)
        let target = address(name[0] == 0 ? name : Array(name.prefix { $0 != 0 }) + [0])
        let from = Array(message.address.dropFirst(2))
        if let sender = sockets.values.first(where: {
            !from.isEmpty && Array($0.image.address).prefix(from.count) == from[...]
        }), let handle = handles[sender.image.id] {
            return (handle, target)
        }
        let fd = Glibc.socket(AF_UNIX, 2 | cloexec, 0)
        try Kernel.libc(Int(fd), "create a Unix socket")
        let temporary = Descriptor(owning: fd)
        if !from.isEmpty { try? SocketAddress.bind(temporary, address(from)) }
        ghosts[UInt64.max - UInt64(ghosts.count)] = temporary
        return (temporary, target)
    }

    private func pend(_ listener: ImageUnixSocket) throws {
        let name = Array(listener.address)
        let target = address(name.first == 0 ? name : Array(name.prefix { $0 != 0 }) + [0])
        for id in listener.pending {
            if let client = handles[id] { try SocketAddress.connect(client, target) }
        }
        try handles[listener.id]?.listen(backlog: listener.backlog)
    }
}
