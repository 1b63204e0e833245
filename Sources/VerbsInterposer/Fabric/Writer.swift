// SPDX-License-Identifier: Apache-2.0
import CVerbs

/// Where records for another process go: into a ring within a node, else over a link. Under the
/// engine lock.
enum Writer {
    case ring(RingWriter)
    case link(OutgoingLink)

    static let headerBytes = MemoryLayout<fabric_record>.stride

    /// Sends a record whose payload `fill` writes: at most RingWriter.largestPayload. False when there
    /// is no room: the engine makes progress again when there is some.
    func send(_ record: fabric_record, payload: Int, _ fill: (UnsafeMutableRawPointer) -> Void) -> Bool {
        switch self {
        case .ring(let ring): ring.send(record, payload: payload, fill)
        case .link(let link): link.send(record, payload: payload, fill)
        }
    }
}
