// SPDX-License-Identifier: Apache-2.0
import CVerbs

/// What a peer on another node has told of its queue pair.
struct Announcement {
    /// Its number, and the slot of its process.
    let number: UInt32
    let slot: UInt32
    var isReady: Bool
}

/// The sending half of a queue pair whose peer is on another node: nobody writes into the other's
/// memory, so messages travel whole, in records of up to 512 KiB, and so do the bytes that a READ asks
/// for. A request that finds no receive is dropped, with everything behind it, and sent again when the
/// peer asks: so neither side keeps messages that nobody has room for.
extension QueuePair {
    // MARK: states

    /// Tells the peer this side's state, which it cannot see.
    func announce(to peer: UInt32) {
        guard QueuePairTransitions.isConnected(type), peer != 0, engine.isCurrent,
            let owner = engine.owner(of: peer), engine.isLinked(owner)
        else { return }
        guard case .link(let link) = engine.writer(to: owner) else { return }
        var record = fabric_record()
        record.kind = UInt8(FABRIC_STATE.rawValue)
        (record.destination, record.source) = (peer, number)
        record.status = UInt8(truncatingIfNeeded: state.rawValue)
        link.sendSurely(record)
        engine.links?.flush(urgentOnly: true)
        engine.leaveWork()  // the connection may have to be made
    }

    /// A record of kind FABRIC_STATE. Only a queue pair that takes requests replaces another's word: an
    /// old peer may say goodbye late.
    func learn(_ record: fabric_record, from slot: UInt32) {
        let state = UInt32(record.status)
        let isReady = state >= IBV_QPS_RTR.rawValue && state <= IBV_QPS_SQE.rawValue
        if isReady || announcement?.number == record.source {
            announcement = Announcement(number: record.source, slot: slot, isReady: isReady)
        }
        if isReady { transmit() }
    }

    /// Whether the peer, in a process of another node, takes requests of this queue pair. Unreliable
    /// ones are sent before its word has come, as on any wire.
    func hasReadyPeer(at slot: UInt32) -> Bool {
        guard let announcement, announcement.number == attributes.dest_qp_num else {
            return type == IBV_QPT_UC
        }
        return announcement.isReady && announcement.slot == slot
    }

    /// The link to a process has broken.
    func lostLink(to slot: UInt32) {
        if announcement?.slot == slot { announcement = nil }
    }

    // MARK: requests

    func sendOverLink(_ number: UInt64, _ local: Pieces, _ owner: UInt32) -> Launch {
        guard case .link(let link) = engine.writer(to: owner) else { return .waits }
        let opcode = sends[number].pointee.opcode
        guard !Self.isReading(opcode) else {
            guard link.send(record(number), payload: 0, { _ in }) else {
                return waitForLink(owner, number)
            }
            sends.sent = number + 1
            readsUnderWay += 1
            return .done
        }
        sends.sent = number + 1
        partial = (number, 0)
        if send(local, link) { return .done }
        if partial?.offset == 0 {  // nothing of it is on its way
            (partial, sends.sent) = (nil, number)
        }
        return waitForLink(owner, number)
    }

    /// A request of which the beginning has been sent.
    func sendOn(_ partial: (number: UInt64, offset: UInt64)) -> Launch {
        guard state == IBV_QPS_RTS || state == IBV_QPS_SQD,
            let owner = type == IBV_QPT_XRC_SEND
                ? ownerOfSharedQueue(sends[partial.number].pointee) : readyPeer(),
            case .link(let link) = engine.writer(to: owner)
        else { return .waits }
        guard let local = locate(partial.number) else {
            guard sends.finished == partial.number else { return .waits }
            self.partial = nil
            failRequest(partial.number, IBV_WC_LOC_PROT_ERR)
            return .done
        }
        defer { local.free() }
        return send(local, link) ? .done : waitForLink(owner, partial.number)
    }

    /// As much of the partial request as there is room for; true when that was all.
    private func send(_ local: Pieces, _ link: OutgoingLink) -> Bool {
        guard let number = partial?.number, var offset = partial?.offset else { return true }
        var record = record(number)
        repeat {
            let count = min(Int(record.length - offset), OutgoingLink.largestPayload)
            record.operands.0 = offset
            guard link.send(record, local, at: offset, count: count) else { return false }
            offset += UInt64(count)
            partial = (number, offset)
        } while offset < record.length
        partial = nil
        // As on an adapter: the link has all its bytes, or a copy. Nobody says whether it was lost.
        if type == IBV_QPT_UC {
            finishRequest(number)
            count()
            reportDrained()
        }
        return true
    }

    /// Until there is room. An unreliable request to a process that has ended is lost.
    private func waitForLink(_ owner: UInt32, _ number: UInt64) -> Launch {
        guard !engine.isAlive(owner) else {
            stall()
            return .waits
        }
        guard type == IBV_QPT_UC else { return .waits }
        (partial, sends.sent) = (nil, number + 1)
        finishRequest(number)
        return .done
    }

    // MARK: answers

    /// Bytes that an RDMA READ has asked for.
    func responded(_ record: fabric_record, _ payload: UnsafeMutableRawPointer) {
        guard isAwaited(record) else { return }
        let (sequence, offset) = (record.sequence, record.operands.0)
        let count = min(record.length - offset, UInt64(record.bytes) - UInt64(Writer.headerBytes))
        guard let local = locate(sequence) else {
            acknowledged(until: sequence)
            return failRequest(sequence, IBV_WC_LOC_PROT_ERR)
        }
        local.fill(from: payload, count: Int(count), at: Int(offset))
        local.free()
        responded(record, until: offset + count)
    }

    /// Whether a response belongs to a READ that is under way.
    func isAwaited(_ record: fabric_record) -> Bool {
        guard record.sequence >= sends.finished, record.sequence < sends.sent else { return false }
        let request = sends[record.sequence]
        return request.pointee.opcode == IBV_WR_RDMA_READ && record.length == request.pointee.length
            && record.operands.0 < record.length
    }

    /// Everything before `end` of what a READ asks for is here.
    func responded(_ record: fabric_record, until end: UInt64) {
        if end == record.length { acknowledged(until: record.sequence + 1) }
    }

    /// The peer has carried out everything before `sequence`, and has dropped what followed.
    func sendAgain(from sequence: UInt64) {
        guard sequence >= sends.finished, sequence < sends.sent else { return }
        while sends.finished < sequence { finishRequest(sends.finished) }
        (sends.sent, readsUnderWay, partial) = (sequence, 0, nil)
        deadline = 0
        transmit()
        count()
    }
}
