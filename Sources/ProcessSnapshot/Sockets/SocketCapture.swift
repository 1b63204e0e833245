// SPDX-License-Identifier: Apache-2.0
import CheckpointImage
import Foundation
import Glibc
import LinuxSystem

/// Sockets by family. TCP sockets are locked (see `NetworkLock`) when this runs.
struct SocketCapture {
    let context: CaptureContext

    init(_ context: CaptureContext) { self.context = context }

    func capture(_ source: DescriptorSource, _ status: stat) throws -> ImageOpenFile {
        let handle = source.handle
        let domain = try handle.option(SOL_SOCKET, 39)
        let type = try handle.option(SOL_SOCKET, 3)
        let networkProtocol = try handle.option(SOL_SOCKET, 38)
        let id = UInt64(status.st_ino)
        switch (domain, type) {
        case (AF_UNIX, _):
            return try UnixSocketCapture(context: context).capture(source, id: id, type: type)
        case (AF_INET, 1), (AF_INET6, 1):
            guard networkProtocol == 6 else { break }
            return try TCPCapture(context: context).capture(source, id: id, family: domain)
        case (AF_INET, 2), (AF_INET6, 2):
            guard networkProtocol == 17 else { break }
            return try udp(source, id: id, family: domain)
        case (AF_INET, _), (AF_INET6, _), (17, _):
            throw context.refusal(.packetSocket, source.pid, source.name)
        case (AF_NETLINK, _): return try netlink(source, type: type, protocol: networkProtocol)
        default: break
        }
        throw context.refusal(.otherSocket, source.pid, source.name)
    }

    private func udp(_ source: DescriptorSource, id: UInt64, family: Int32) throws -> ImageOpenFile {
        var socket = ImageUDPSocket()
        socket.id = id
        socket.family = UInt32(family)
        let local = SocketAddress.local(source.handle) ?? []
        if SocketAddress.port(local) != 0 { socket.local = Data(local) }
        if let remote = SocketAddress.remote(source.handle) { socket.remote = Data(remote) }
        socket.options = SocketOptions.capture(source.handle, family: family, type: 2, tcp: false)
        socket.messages = try MessageQueueReader(source.handle, stream: false).all().map(\.message)
        return .with { $0.udp = socket }
    }

    /// A netlink socket has no conversation worth keeping as long as nothing waits in it.
    private func netlink(
        _ source: DescriptorSource, type: Int32, protocol number: Int32
    ) throws -> ImageOpenFile {
        let address = SocketAddress.local(source.handle) ?? []
        return .with {
            $0.netlink = .with {
                $0.type = UInt32(type)
                $0.protocol = UInt32(number)
                if address.count >= 12 {
                    $0.port = value(UInt32.self, from: address, at: 4)
                    $0.groups = value(UInt32.self, from: address, at: 8)
                }
            }
        }
    }
}
