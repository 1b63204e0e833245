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
        try handle.setOption(SOL_SOCKET, SocketOptions.peekOffset, 0)
        defer { try? handle.setOption(SOL_SOCKET, SocketOptions.peekOffset, hadOffset) }
        var waiting: Int32 = 0
        _ = try? handle.control(UInt(FIONREAD), &waiting)
        var buffer = [UInt8](repeating: 0, count: max(1 << 18, Int(waiting) + 1))
        var items: [Item] = []
        while true {
            var address = [UInt8](repeating: 0, count: 128)
            var addressLength = UInt32(128)
            var numbers = [Int32](repeating: 0, count: 253)
            var count: Int32 = 0
            var flags: Int32 = 0
            let n = fermata_peek_message(
                handle.number, &buffer, buffer.count, &address, &addressLength, &numbers, 253,
                &count, &flags)
            if n == -Int(EAGAIN) || n == -Int(ENOTCONN) || n == -Int(EINVAL) { return items }
            try Kernel.check(n, "read the queue of a socket")
            let descriptors = numbers[0..<Int(count)].map { Descriptor(owning: $0) }
            if n == 0 && stream { return items } // end of the stream
            items.append(Item(
                message: .with {
                    $0.data = Data(buffer[0..<n])
                    $0.address = Data(address[0..<Int(addressLength)])
                },
                descriptors: descriptors))
            // A datagram without bytes is seen once: the kernel marks it (net/core/datagram.c).
            guard items.count < 1 << 16 else { return items }
        }
    }
}
