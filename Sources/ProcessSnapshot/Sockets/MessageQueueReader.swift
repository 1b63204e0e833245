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
                items += try split(item, at: offset)
            } else {
                items.append(item)
            }
            offset += Int32(n)
            // A datagram without bytes is seen once: the kernel marks it (net/core/datagram.c).
            guard items.count < 1 << 16 else { return items }
        }
        return items
    }

    /// In a stream one read gives the bytes before those that carry descriptors too, and a peek of
    /// fewer bytes looks ahead to the same descriptors (net/unix/af_unix.c,
    /// unix_stream_read_generic). But the kernel copies write by write, and a write that does not
    /// fit into accessible memory is left out as a whole: with the last byte of the buffer out of
    /// bounds, what is copied ends where the write that carries descriptors begins.
    private func split(_ item: Item, at offset: Int32) throws -> [Item] {
        let data = item.message.data
        let page = Format.pageBytes
        let accessible = (data.count - 1 + page - 1) / page * page
        let memory = mmap(nil, accessible + page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)!
        defer { munmap(memory, accessible + page) }
        try Kernel.libc(
            Int(mprotect(memory, accessible, PROT_READ | PROT_WRITE)), "set up memory for a socket's queue")
        try handle.setOption(SOL_SOCKET, SocketOptions.peekOffset, offset)
        let start = memory + accessible - (data.count - 1)
        let before = fermata_peek_message(
            handle.number, start, data.count, nil, nil, nil, 0, nil)
        try handle.setOption(SOL_SOCKET, SocketOptions.peekOffset, offset + Int32(data.count))
        if before == -Int(EFAULT) { return [item] }
        try Kernel.check(before, "read the queue of a socket")
        var (first, second) = (Item(message: item.message, descriptors: []), item)
        first.message.data = Data(data.prefix(before))
        second.message.data = Data(data.dropFirst(before))
        return [first, second]
    }

    /// One message from the current offset; nil when none waits.
    private func peek(_ buffer: inout [UInt8], count: Int) throws -> Item? {
        var address = [UInt8](repeating: 0, count: 128)
        var addressLength = UInt32(128)
        var numbers = [Int32](repeating: 0, count: 253)
        var received: Int32 = 0
        let n = fermata_peek_message(
            handle.number, &buffer, count, &address, &addressLength, &numbers, 253, &received)
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
