// SPDX-License-Identifier: Apache-2.0
import CLinux
import CheckpointImage
import Foundation
import Glibc
import LinuxSystem

/// Reads all messages that wait in a socket and leaves them there: MSG_PEEK with SO_PEEK_OFF
/// (socket(7)), which advances through the queue.
struct MessageQueueReader {
    struct Item {
        var message: ImageMessage
        /// Descriptors in flight, opened here by the peek.
        var descriptors: [Descriptor]
    }

    private let handle: Descriptor
    private let stream: Bool

    init(_ handle: Descriptor, stream: Bool) {
        self.handle = handle
        self.stream = stream
    }

    func all() throws -> [Item] {
        let hadOffset = try handle.option(SOL_SOCKET, SocketOptions.peekOffset)
        defer { try? handle.setOption(SOL_SOCKET, SocketOptions.peekOffset, hadOffset) }
        var waiting: Int32 = 0
        _ = try? handle.control(UInt(FIONREAD), &waiting)
        var buffer = [UInt8](repeating: 0, count: max(1 << 18, Int(waiting) + 1))
        var items: [Item] = []
        var offset: Int32 = 0
        try handle.setOption(SOL_SOCKET, SocketOptions.peekOffset, 0)
        while let item = try peek(&buffer, count: buffer.count) {
            let n = item.message.data.count
            if n == 0 && stream { return items }  // end of the stream
            if stream, n > 1, !item.descriptors.isEmpty {
                items += try split(item, at: offset, &buffer)
            } else {
                items.append(item)
            }
            offset += Int32(n)
            // A datagram without bytes is seen once: the kernel marks it (net/core/datagram.c).
            guard items.count < 1 << 16 else { return items }
        }
        return items
    }

    /// In a stream the bytes before those that carry descriptors come in the same read: found by
    /// asking for fewer bytes until the descriptors no longer come.
    private func split(_ item: Item, at offset: Int32, _ buffer: inout [UInt8]) throws -> [Item] {
        let data = item.message.data
        var (without, with) = (0, data.count)
        while with - without > 1 {
            let middle = (without + with) / 2
            try handle.setOption(SOL_SOCKET, SocketOptions.peekOffset, offset)
            let part = try peek(&buffer, count: middle)
            if part?.descriptors.isEmpty ?? true { without = middle } else { with = middle }
        }
        try handle.setOption(SOL_SOCKET, SocketOptions.peekOffset, offset + Int32(data.count))
        guard without > 0 else { return [item] }
        var (first, second) = (Item(message: item.message, descriptors: []), item)
        first.message.data = Data(data.prefix(without))
        second.message.data = Data(data.dropFirst(without))
        return [first, second]
    }

    /// One message from the current offset; nil when none waits.
    private func peek(_ buffer: inout [UInt8], count: Int) throws -> Item? {
        var address = [UInt8](repeating: 0, count: 128)
        var addressLength = UInt32(128)
        var numbers = [Int32](repeating: 0, count: 253)
        var received: Int32 = 0
        var flags: Int32 = 0
        let n = fermata_peek_message(
            handle.number, &buffer, count, &address, &addressLength, &numbers, 253, &received, &flags)
        if n == -Int(EAGAIN) || n == -Int(ENOTCONN) || n == -Int(EINVAL) { return nil }
        try Kernel.check(n, "read the queue of a socket")
        return Item(
            message: .with {
                $0.data = Data(buffer[0..<n])
                $0.address = Data(address[0..<Int(addressLength)])
            },
            descriptors: numbers[0..<Int(received)].map { Descriptor(owning: $0) })
    }
}
