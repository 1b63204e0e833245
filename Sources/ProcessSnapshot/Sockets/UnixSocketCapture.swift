// SPDX-License-Identifier: Apache-2.0
import CheckpointImage
import Foundation
import Glibc
import LinuxSystem

/// The kernel's view of all Unix sockets, read once per capture.
final class UnixSocketTable {
    lazy var byInode: [UInt64: SocketDiagnostics.Unix] = {
        let list = (try? SocketDiagnostics.unixSockets()) ?? []
        return Dictionary(list.map { ($0.inode, $0) }, uniquingKeysWith: { a, _ in a })
    }()
}

/// Unix domain sockets (unix(7)): names, peers, backlogs, and what waits in the queues,
/// descriptors in flight included.
struct UnixSocketCapture {
    let context: CaptureContext

    func capture(_ source: DescriptorSource, id: UInt64, type: Int32) throws -> ImageOpenFile {
        let known = context.unixSockets.byInode[id] ?? SocketDiagnostics.Unix()
        var socket = ImageUnixSocket()
        socket.id = id
        socket.type = UInt32(type)
        socket.address = Data(known.name)
        socket.peer = known.peer
        socket.state = UInt32(known.state)
        socket.shutdown = UInt32(known.shutdown)
        socket.options = SocketOptions.capture(source.handle, family: AF_UNIX, type: type, tcp: false)
        if known.state == 10 {  // TCP_LISTEN
            socket.backlog = known.backlog
            socket.pending = known.pending
            try checkPending(source, known)
        }
        describeFile(&socket, known, source.pid)
        if known.state != 10 {
            let ends = type != 2 || known.shutdown & 1 != 0  // 0 bytes mean the end, not a message
            for item in try MessageQueueReader(source.handle, stream: ends).all() {
                var message = item.message
                message.openFiles = try item.descriptors.map { try context.openFiles.adopt($0) }
                socket.messages.append(message)
            }
        }
        checkPeerLater(source, known)
        return .with { $0.unixSocket = socket }
    }

    /// What connecting sockets have already sent waits in a socket that only accept(2) gives out.
    private func checkPending(_ source: DescriptorSource, _ listener: SocketDiagnostics.Unix) throws {
        for id in listener.pending {
            // No inode: the client has closed; whether it had sent something cannot be known.
            guard id != 0, let client = context.unixSockets.byInode[id], client.sent == 0 else {
                throw context.refusal(.pendingData, source.pid, source.name)
            }
        }
    }

    /// Whether the name still leads to this socket: a file may have been unlinked since.
    private func describeFile(
        _ socket: inout ImageUnixSocket, _ known: SocketDiagnostics.Unix, _ pid: pid_t
    ) {
        guard let first = known.name.first, first != 0 else { return }
        let name = String(decoding: known.name.prefix { $0 != 0 }, as: UTF8.self)
        var path = name
        if !name.hasPrefix("/"), let cwd = ProcFS.link("/proc/\(pid)/cwd") { path = cwd + "/" + name }
        var status = stat()
        guard lstat(path, &status) == 0, UInt32(truncatingIfNeeded: status.st_ino) == known.fileInode
        else { return }
        socket.namedByFile = true
        socket.mode = status.st_mode & 0o7777
    }

    /// A peer that no process of the job holds is outside, unless it waits in a backlog. It has no
    /// inode then, nor when it is closed; only the latter shuts both directions of this one.
    private func checkPeerLater(_ source: DescriptorSource, _ known: SocketDiagnostics.Unix) {
        let (isDatagram, isConnected) = (known.type == 2, known.state == 1)
        let hasPeer =
            known.peer != 0 ? isDatagram || isConnected
            : !isDatagram && isConnected && known.shutdown != 3
        guard hasPeer else { return }
        let context = context
        context.openFiles.deferred.append { [unowned context] in
            for file in context.inventory.openFiles {
                guard case .unixSocket(let other)? = file.kind else { continue }
                if other.pending.contains(source.inode) { return }
                if known.peer != 0 && other.id == known.peer { return }
            }
            throw context.refusal(.outsidePipe, source.pid, source.name)
        }
    }
}

extension DescriptorSource {
    var inode: UInt64 { ProcFS.inode(of: link) ?? 0 }
}
