// SPDX-License-Identifier: Apache-2.0
import CheckpointImage
import Glibc
import LinuxSystem

/// UDP sockets with their waiting datagrams, and netlink sockets.
struct DatagramRestore {
    let context: RestoreContext

    /// Fills `context.files` for every UDP socket. Those with waiting datagrams come first, while
    /// the senders' ports are still free to be sent from.
    func restoreAll() throws {
        let all = context.inventory.openFiles.enumerated().compactMap {
            i, file -> (Int, ImageUDPSocket)? in
            guard case .udp(let socket)? = file.kind else { return nil }
            return (i, socket)
        }
        var byAddress: [[UInt8]: Descriptor] = [:]
        for (index, socket) in all.sorted(by: { $0.1.messages.count > $1.1.messages.count }) {
            let handle = try make(socket)
            context.files[index] = handle
            byAddress[Array(socket.local)] = handle
            for message in socket.messages { try inject(message, socket, byAddress) }
        }
        // A connected socket takes only its peer's datagrams, so connecting comes last.
        for (index, socket) in all where !socket.remote.isEmpty {
            try SocketAddress.connect(context.files[index]!, Array(socket.remote))
        }
    }

    private func make(_ socket: ImageUDPSocket) throws -> Descriptor {
        let fd = Glibc.socket(Int32(socket.family), 2 | 0o2000000, 0)
        try Kernel.libc(Int(fd), "create a UDP socket")
        let handle = Descriptor(owning: fd)
        SocketOptions.restore(socket.options, handle)
        if !socket.local.isEmpty { try SocketAddress.bindPatiently(handle, Array(socket.local)) }
        return handle
    }

    /// Sends a datagram again from the address it came from: through the restored socket that is
    /// bound there, else from a temporary one.
    private func inject(
        _ message: ImageMessage, _ socket: ImageUDPSocket, _ known: [[UInt8]: Descriptor]
    ) throws {
        let source = Array(message.address)
        var target = Array(socket.local)
        if SocketAddress.isAny(target) { SocketAddress.setLoopback(&target) }
        let data = Array(message.data)
        let sender =
            try known[source]
            ?? {
                let made = Descriptor(owning: Glibc.socket(Int32(socket.family), 2 | 0o2000000, 0))
                do throws(SystemError) { try SocketAddress.bind(made, source) } catch {
                    throw RestoreError(
                        "a UDP datagram from \(SocketAddress.text(source)) cannot be put back: \(error)")
                }
                return made
            }()
        let n = SocketAddress.with(target) { sendto(sender.number, data, data.count, 0, $0, $1) }
        try Kernel.libc(n, "refill a UDP socket")
    }

    func netlink(_ socket: ImageNetlinkSocket) throws -> Descriptor {
        let fd = Glibc.socket(AF_NETLINK, Int32(socket.type) | 0o2000000, Int32(socket.protocol))
        try Kernel.libc(Int(fd), "create a netlink socket")
        let handle = Descriptor(owning: fd)
        var address: [UInt8] =
            [UInt8(AF_NETLINK), 0, 0, 0] + bytes(of: socket.port) + bytes(of: socket.groups)
        if (try? SocketAddress.bind(handle, address)) == nil {
            address.replaceSubrange(4..<8, with: [0, 0, 0, 0])  // the port is taken: any other
            try SocketAddress.bind(handle, address)
        }
        return handle
    }
}
