// SPDX-License-Identifier: Apache-2.0
import CoordinatorService

/// What `fermata status --verbs` shows of a job's adapters and queue pairs.
struct VerbsReport: Encodable {
    let device: String
    let guid: String
    let lid: UInt32
    let queuePairs: [QueuePair]

    struct QueuePair: Encodable {
        let pid: Int32
        let number: UInt32
        let type: String
        let state: String
        let peer: UInt32
        let peerPid: Int32
        /// Send requests posted, and those of them that have been completed.
        let posted: UInt64
        let finished: UInt64
        /// Requests of the peer carried out, datagrams received.
        let executed: UInt64
    }

    init(_ status: ControlVerbsStatus) {
        device = status.device
        let digits = String(status.guid, radix: 16)
        guid = "0x" + String(repeating: "0", count: 16 - digits.count) + digits
        lid = status.lid
        queuePairs = status.queuePairs.map {
            QueuePair(
                pid: $0.pid, number: $0.number, type: $0.type, state: $0.state, peer: $0.peer,
                peerPid: $0.peerPid, posted: $0.posted, finished: $0.finished, executed: $0.executed)
        }
    }

    func show() {
        let port = lid == 0 ? "Ethernet" : "LID \(lid)"
        Terminal.print("  \(device)  GUID \(guid)  \(port)  soft fabric  queue pairs: \(queuePairs.count)")
        guard !queuePairs.isEmpty else { return }
        let rows = queuePairs.map { pair in
            [
                "  \(pair.pid)", Self.hexadecimal(pair.number), pair.type, pair.state, Self.peer(of: pair),
                "\(pair.posted)", "\(pair.posted - min(pair.posted, pair.finished))", "\(pair.executed)",
            ]
        }
        Terminal.print(
            Terminal.table([["  PID", "QP", "TYPE", "STATE", "PEER", "POSTED", "WAITING", "EXECUTED"]] + rows))
    }

    private static func hexadecimal(_ number: UInt32) -> String { "0x" + String(number, radix: 16) }

    private static func peer(of pair: QueuePair) -> String {
        guard pair.peer != 0 else { return "-" }
        return hexadecimal(pair.peer) + (pair.peerPid == 0 ? " (gone)" : " of \(pair.peerPid)")
    }
}
