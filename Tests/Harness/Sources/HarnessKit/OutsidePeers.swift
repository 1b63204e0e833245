import Foundation
import Glibc

/// Listeners of the harness's own, for jobs that connect to something outside.
package final class OutsidePeers {
    private var descriptors: [Int32] = []
    /// FERMATA_OUTSIDE_PORT and FERMATA_OUTSIDE_CLOSING_PORT, on 127.0.0.1, and
    /// FERMATA_OUTSIDE_SOCKET, a path. What connects to the second meets a peer that has ended
    /// its direction and still reads.
    package private(set) var environment: [String: String] = [:]

    package init(in folder: String) throws {
        let path = folder + "/outside"
        var unix = sockaddr_un()
        unix.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &unix.sun_path) { $0.copyBytes(from: path.utf8) }
        _ = try listen(AF_UNIX, &unix)
        let plain = try listenTCP(), closing = try listenTCP()
        Thread.detachNewThread {
            while case let peer = accept(closing.fd, nil, nil), peer >= 0 { shutdown(peer, Int32(SHUT_WR)) }
        }
        environment["FERMATA_OUTSIDE_PORT"] = "\(plain.port)"
        environment["FERMATA_OUTSIDE_CLOSING_PORT"] = "\(closing.port)"
        environment["FERMATA_OUTSIDE_SOCKET"] = path
    }

    private func listenTCP() throws -> (fd: Int32, port: UInt16) {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        let fd = try listen(AF_INET, &address)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { _ = getsockname(fd, $0, &length) }
        }
        return (fd, UInt16(bigEndian: address.sin_port))
    }

    private func listen<Address>(_ family: Int32, _ address: inout Address) throws -> Int32 {
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let fd = socket(family, type, 0)
        descriptors.append(fd)
        let size = socklen_t(MemoryLayout<Address>.size)
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(fd, $0, size) }
        }
        try expect(bound == 0 && Glibc.listen(fd, 4) == 0, "a listener: errno \(errno)")
        return fd
    }

    deinit {
        for fd in descriptors {
            shutdown(fd, Int32(SHUT_RDWR))  // ends accept(2)
            close(fd)
        }
    }
}
