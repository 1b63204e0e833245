// SPDX-License-Identifier: Apache-2.0
import CVerbs

/// rdma_join_multicast: librdmacm attaches the queue pair itself, by the group that the event tells.
final class Membership {
    private let id: ConnectionIdentifier
    let number: UInt32
    /// librdmacm's name for it.
    let context: UInt64
    var eventsReported: UInt32 = 0

    init(_ id: ConnectionIdentifier, number: UInt32, context: UInt64) {
        self.id = id
        self.number = number
        self.context = context
    }

    /// Under the engine lock.
    func leave() {
        id.channel.remove(self)
        id.memberships.removeAll { $0 === self }
    }
}

extension ConnectionIdentifier {
    /// Q_Key of the connection manager's datagrams (RDMA_UDP_QKEY in the kernel).
    static var queueKey: UInt32 { 0x0123_4567 }

    func tellJoined(_ membership: Membership, _ group: Endpoint) {
        var response = rdma_ucm_event_resp()
        response.id = number
        response.event = ConnectionEvent.Kind.multicastJoin.rawValue
        response.param.ud.qp_num = 0xff_ffff
        response.param.ud.qkey = Self.queueKey
        var handle = engine.segment.pathHandle
        let gid = group.multicastGID
        withUnsafeBytes(of: gid) { from in
            withUnsafeMutableBytes(of: &handle.grh.dgid) { $0.copyMemory(from: from) }
        }
        handle.dlid = 0xc000  // the first multicast LID (IBTA 4.1.3)
        response.param.ud.ah_attr = handle
        channel.add(ConnectionEvent(id: self, membership: membership, response: response))
    }
}
