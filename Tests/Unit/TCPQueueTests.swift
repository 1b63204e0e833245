// SPDX-License-Identifier: Apache-2.0
import CheckpointImage
import Foundation
import Testing

@testable import ProcessSnapshot

/// What restart sends again of a TCP connection: every byte once, wherever the cut fell.
@Suite struct TCPQueueTests {
    /// A connection at the cut: `unread` of `bytes` wait in the receiver's queue after what it has
    /// read, the sender still holds all from `acknowledged` on.
    static func underWay(bytes: Int, received: Int, unread: Int, acknowledged: Int, ended: Bool) -> [UInt8] {
        let all = (0..<bytes).map { UInt8($0) }
        let start: UInt32 = .max - 3  // sequence numbers wrap
        var sender = ImageTCPSocket()
        sender.state = ended ? 4 : 1  // FIN_WAIT1, ESTABLISHED
        sender.sendSequence = start &+ UInt32(bytes) &+ (ended ? 1 : 0)
        sender.sendQueue = Data(all[acknowledged...])
        var receiver = ImageTCPSocket()
        receiver.state = 1
        receiver.receiveSequence = start &+ UInt32(received)
        receiver.receiveQueue = Data(all[(received - unread)..<received])
        return TCPRestore.underWay(from: sender, to: receiver)
    }

    @Test("Every byte once", arguments: [false, true])
    func once(ended: Bool) {
        let bytes = 12
        for received in 0...bytes {
            for acknowledged in 0...received {
                for unread in 0...received {
                    let sent = Self.underWay(
                        bytes: bytes, received: received, unread: unread, acknowledged: acknowledged,
                        ended: ended)
                    #expect(sent == ((received - unread)..<bytes).map { UInt8($0) })
                }
            }
        }
    }
}
