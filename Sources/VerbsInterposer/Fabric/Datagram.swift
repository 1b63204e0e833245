// SPDX-License-Identifier: Apache-2.0
import CVerbs

/// What a receiver of a routed datagram finds in the 40 bytes before the payload (IBTA 8.3).
struct GlobalRouteHeader {
    let length: UInt64
    /// GUID of the sender's port, network byte order.
    let source: UInt64

    func write(to pieces: Pieces) {
        var header = ibv_grh()
        header.version_tclass_flow = UInt32(6 << 28).bigEndian
        header.paylen = UInt16(truncatingIfNeeded: length + 24).bigEndian
        header.next_hdr = 0x1b
        header.hop_limit = 64
        header.sgid = Device.gid(source)
        header.dgid = Device.gid(source)
        withUnsafeBytes(of: &header) { pieces.fill(from: $0.baseAddress!, count: 40) }
    }
}

extension QueuePair {
    /// A datagram, complete as soon as it is on its way. A multicast one goes to every member.
    func sendDatagram(_ number: UInt64, _ local: Pieces) -> DatagramResult {
        let request = sends[number]
        guard let path = request.pointee.path else { return .sent }
        var record = fabric_record()
        record.kind = UInt8(FABRIC_DATAGRAM.rawValue)
        record.source = self.number
        record.length = request.pointee.length
        record.immediate = request.pointee.immediate
        // A Q_Key with the highest bit set stands for the queue pair's own (IBTA 10.2.5).
        let queueKey = request.pointee.queueKey
        record.operands.0 = UInt64(queueKey & 0x8000_0000 != 0 ? attributes.qkey : queueKey)
        record.operands.1 = engine.segment.header.pointee.guid
        if request.pointee.isSolicited { record.flags |= UInt8(FABRIC_SOLICITED) }
        if request.pointee.opcode == IBV_WR_SEND_WITH_IMM { record.flags |= UInt8(FABRIC_IMMEDIATE) }
        if path.group != nil { record.flags |= UInt8(FABRIC_ROUTED) }
        let multicast: UInt32 = 0xffffff
        guard request.pointee.queuePair == multicast, let group = path.group else {
            return send(record, to: request.pointee.queuePair, local)
        }
        for member in engine.segment.members(of: group) where member != self.number {
            _ = send(record, to: member, local)
        }
        return .sent
    }

    enum DatagramResult { case sent, full }

    private func send(_ record: fabric_record, to destination: UInt32, _ local: Pieces)
        -> DatagramResult
    {
        guard let owner = engine.owner(of: destination), let writer = engine.writer(to: owner) else {
            return .sent  // nobody there: lost, as on any wire
        }
        var record = record
        record.destination = destination
        if writer.send(record, payload: Int(local.bytes), local.copy(to:)) { return .sent }
        return engine.isAlive(owner) ? .full : .sent
    }
}

extension Segment {
    /// Queue pairs attached to a multicast group.
    func members(of group: ibv_gid) -> [UInt32] {
        var result: [UInt32] = []
        for i in 0..<UInt32(FABRIC_MEMBERS) {
            let member = fabric_member_at(header, i)!
            let number = fabric_load32(&member.pointee.queue_pair)
            if number != 0, equal(member.pointee.group, group) { result.append(number) }
        }
        return result
    }

    /// errno: ENOMEM when the job has too many memberships. Attaching twice is one membership.
    func attach(_ number: UInt32, to group: ibv_gid) -> Int32 {
        if members(of: group).contains(number) { return 0 }
        let taken: UInt32 = .max  // while the group is being written
        for i in 0..<UInt32(FABRIC_MEMBERS) {
            let member = fabric_member_at(header, i)!
            guard fabric_claim32(&member.pointee.queue_pair, 0, taken) != 0 else { continue }
            member.pointee.group = group.raw
            fabric_store32(&member.pointee.queue_pair, number)
            return 0
        }
        return ENOMEM
    }

    /// errno: EINVAL when it is not attached.
    func detach(_ number: UInt32, from group: ibv_gid) -> Int32 {
        for i in 0..<UInt32(FABRIC_MEMBERS) {
            let member = fabric_member_at(header, i)!
            if fabric_load32(&member.pointee.queue_pair) == number, equal(member.pointee.group, group) {
                fabric_store32(&member.pointee.queue_pair, 0)
                return 0
            }
        }
        return EINVAL
    }

    func isMember(_ number: UInt32) -> Bool {
        for i in 0..<UInt32(FABRIC_MEMBERS)
        where fabric_load32(&fabric_member_at(header, i)!.pointee.queue_pair) == number { return true }
        return false
    }

    private func equal<T>(_ a: T, _ group: ibv_gid) -> Bool {
        withUnsafeBytes(of: a) { a in
            withUnsafeBytes(of: group) { b in memcmp(a.baseAddress!, b.baseAddress!, 16) == 0 }
        }
    }
}
