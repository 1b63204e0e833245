// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
import LinuxSystem
import Tracing

/// Hands open file descriptions to a stub: sent over a Unix socket that every stub inherits as
/// descriptor 4, received by a recvmsg(2) inside the stub.
struct DescriptorTransfer {
    /// This side of the socket.
    let socket: Descriptor
    /// The stub's side, at the number where it is out of the way.
    private(set) var inside: Int32 = 4

    private static let batch = 60

    init(socket: Descriptor) { self.socket = socket }

    /// Closes everything in the stub except the socket, which moves to a number at or above
    /// `minimum`.
    mutating func prepare(_ stub: Stub, above minimum: Int32) throws {
        var limit = try ResourceLimits.get(7, of: stub.tracee.tid)  // RLIMIT_NOFILE
        limit.soft = limit.hard  // lowering the hard limit could not be undone without privilege
        try ResourceLimits.set(7, limit, of: stub.tracee.tid)
        inside = Int32(try stub.call(.fcntl, 4, UInt64(F_DUPFD), UInt64(minimum)))
        try stub.call(.closeRange, 0, UInt64(inside) - 1, 0)
        try stub.call(.closeRange, UInt64(inside) + 1, UInt64(UInt32.max), 0)
    }

    /// Sends descriptions; their numbers in the stub, lowest free ones, in order.
    func send(_ descriptors: [Int32], to stub: Stub) throws -> [Int32] {
        var result: [Int32] = []
        var rest = descriptors[...]
        while !rest.isEmpty {
            let part = Array(rest.prefix(Self.batch))
            rest = rest.dropFirst(part.count)
            try Kernel.check(
                fermata_send_descriptors(socket.number, 102, part, Int32(part.count)), "send descriptors"
            )
            result += try receive(part.count, stub)
        }
        return result
    }

    /// msghdr at 0, iovec at 64, a data byte at 96, control messages at 128 of the scratch memory.
    private func receive(_ count: Int, _ stub: Stub) throws -> [Int32] {
        let base = stub.scratch
        let controlBytes = UInt64(16 + (count * 4 + 7) / 8 * 8)
        let header: [UInt64] = [0, 0, base + 64, 1, base + 128, controlBytes, 0]
        try stub.place(header.flatMap { bytes(of: $0) })
        try stub.place(bytes(of: base + 96) + bytes(of: UInt64(1)), at: 64)
        try stub.call(.recvmsg, UInt64(inside), base, 0, what: "receive descriptors")
        let control = try stub.readBytes(Int(controlBytes), at: 128)
        let length = Int(value(UInt64.self, from: control))
        guard length == 16 + count * 4 else {
            throw RestoreError(
                "only \((length - 16) / 4) of \(count) descriptors arrived: limit of open files?")
        }
        return (0..<count).map { value(Int32.self, from: control, at: 16 + $0 * 4) }
    }
}
