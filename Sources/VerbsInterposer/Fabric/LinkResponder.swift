// SPDX-License-Identifier: Apache-2.0
import CVerbs

/// What a request has asked for, until it is sent: the old value of an atomic, or, over a link, bytes
/// of this process's memory.
struct Answer {
    let sequence: UInt64
    var value: UInt64 = 0
    /// The RDMA READ; nil: an atomic.
    var request: fabric_record?
}

/// A message of which only the beginning has come: the receive that it goes into, or nil for an RDMA
/// WRITE.
struct Assembly {
    let sequence: UInt64
    var arrived: UInt64
    let receive: (request: ReceiveQueue.Request, pieces: UnsafeMutablePointer<ibv_sge>)?
}

/// The receiving half of a queue pair whose peer is on another node (see LinkRequester).
extension QueuePair {
    /// A record that arrived for this queue pair. `payload` is valid during the call.
    func receive(
        _ record: fabric_record, _ payload: UnsafeMutableRawPointer, overLinkFrom source: UInt32
    ) {
        // Numbers that no peer comes to: nothing is computed with them. Addresses in another node's
        // memory mean nothing here.
        guard record.sequence < 1 << 62, record.length <= UInt64(Device.longestMessage),
            record.flags & UInt8(FABRIC_BY_ADDRESS) == 0
        else { return }
        switch fabric_kind(UInt32(record.kind)) {
        case FABRIC_STATE: learn(record, from: source)
        case FABRIC_RESPONSE where isFromPeer(record): responded(record, payload)
        case FABRIC_RESEND where isFromPeer(record): sendAgain(from: record.sequence)
        case FABRIC_SEND, FABRIC_WRITE, FABRIC_READ, FABRIC_FETCH_ADD, FABRIC_COMPARE_SWAP:
            guard isFromPeer(record), takesRequests, !refusesRequests else { return }
            takeInTurn(record, payload, source)
        default: receive(record, payload, from: source)
        }
    }

    // MARK: order

    /// Requests come in order. Only after one was dropped for want of a receive do others follow that
    /// will be sent again.
    private func takeInTurn(
        _ record: fabric_record, _ payload: UnsafeMutableRawPointer, _ source: UInt32
    ) {
        let isMessage =
            UInt32(record.kind) == FABRIC_SEND.rawValue || UInt32(record.kind) == FABRIC_WRITE.rawValue
        let offset = isMessage ? record.operands.0 : 0
        let room = UInt64(record.bytes) - UInt64(Writer.headerBytes)
        guard awaited == nil, offset <= record.length else { return }
        if let resumesAt {
            guard record.sequence == resumesAt, offset == 0 else { return }
            self.resumesAt = nil
        }
        if offset == 0 {
            guard record.sequence >= executed else { return }
            dropAssembly()
            guard isMessage, room < record.length else {
                if !carryOut(record, payload, source) { lack(record) }
                return
            }
            guard begin(record) else { return }
        }
        guard isNext(record, offset) else { return }
        takePart(record, payload, UInt64(min(room, record.length - offset)))
    }

    private func isNext(_ record: fabric_record, _ offset: UInt64) -> Bool {
        guard let assembly else { return false }
        return assembly.sequence == record.sequence && assembly.arrived == offset
    }

    // MARK: large records, whose payload is received where it belongs

    /// Where the bytes of a record after its first `arrived` ones go: an offset into pieces, to be
    /// freed. nil: nowhere.
    func destination(of record: fabric_record, after arrived: Int, from source: UInt32) -> (
        pieces: Pieces, offset: UInt64
    )? {
        guard isFromPeer(record), engine.isLinked(source) else { return nil }
        let offset = record.operands.0 + UInt64(arrived)
        if UInt32(record.kind) == FABRIC_RESPONSE.rawValue {
            return isAwaited(record) ? locate(record.sequence).map { ($0, offset) } : nil
        }
        guard takesRequests, !refusesRequests, isNext(record, offset) else { return nil }
        return destination(of: record).map { ($0, offset) }
    }

    /// Bytes that have been received there.
    func received(_ record: fabric_record, after arrived: Int, count: Int) {
        let offset = record.operands.0 + UInt64(arrived)
        if UInt32(record.kind) == FABRIC_RESPONSE.rawValue {
            responded(record, until: offset + UInt64(count))
        } else if isNext(record, offset) {
            advance(record, UInt64(count))
        }
    }

    /// A request finds no receive.
    private func lack(_ record: fabric_record) {
        if isUnreliable(record) { return carriedOut(record) }  // lost
        beginWaiting(record)
    }

    /// After a receive was posted for the request that was dropped first. (Not from `executed` on: what
    /// the peer carried out at its own side in between has a number, too.)
    func askAgain(from sequence: UInt64) {
        (resumesAt, resendsFrom) = (sequence, sequence)
        oweAcknowledgement()
    }

    /// The memory that the record's bytes go to is registered, but not there any more.
    func unmapped(_ record: fabric_record) {
        if UInt32(record.kind) == FABRIC_RESPONSE.rawValue {
            acknowledged(until: record.sequence)
            failRequest(record.sequence, IBV_WC_LOC_PROT_ERR)
        } else if assembly?.receive != nil {
            failAssembly(IBV_WC_LOC_QP_OP_ERR, record, IBV_WC_REM_OP_ERR)
        } else {
            dropAssembly()
            refuse(record, IBV_WC_REM_ACCESS_ERR, IBV_EVENT_QP_ACCESS_ERR)
        }
    }

    // MARK: messages in parts

    /// False when the message cannot be taken.
    private func begin(_ record: fabric_record) -> Bool {
        guard UInt32(record.kind) == FABRIC_SEND.rawValue else {
            assembly = Assembly(sequence: record.sequence, arrived: 0, receive: nil)
            return true
        }
        guard let (request, list) = takeReceive() else {
            lack(record)
            return false
        }
        let pieces = UnsafeMutablePointer<ibv_sge>.allocate(capacity: max(1, Int(request.pieces)))
        for i in 0..<Int(request.pieces) { pieces[i] = list[i] }
        assembly = Assembly(sequence: record.sequence, arrived: 0, receive: (request, pieces))
        guard let place = place(request, pieces) else {
            failAssembly(IBV_WC_LOC_PROT_ERR, record, IBV_WC_REM_OP_ERR)
            return false
        }
        defer { place.free() }
        if place.bytes >= record.length { return true }
        failAssembly(IBV_WC_LOC_LEN_ERR, record, IBV_WC_REM_INV_REQ_ERR)
        return false
    }

    private func takePart(
        _ record: fabric_record, _ payload: UnsafeMutableRawPointer, _ count: UInt64
    ) {
        guard let assembly else { return }
        guard let pieces = destination(of: record) else {
            guard assembly.receive == nil else {
                return failAssembly(IBV_WC_LOC_PROT_ERR, record, IBV_WC_REM_OP_ERR)
            }
            dropAssembly()
            return refuse(record, IBV_WC_REM_ACCESS_ERR, IBV_EVENT_QP_ACCESS_ERR)
        }
        pieces.fill(from: payload, count: Int(count), at: Int(assembly.arrived))
        pieces.free()
        advance(record, count)
    }

    /// Where the whole message goes; nil when a key does not allow it, or not any more.
    private func destination(of record: fabric_record) -> Pieces? {
        if let receive = assembly?.receive { return place(receive.request, receive.pieces) }
        return target(record, IBV_ACCESS_REMOTE_WRITE).map {
            Pieces(UnsafeMutableRawPointer(bitPattern: UInt($0))!, Int(record.length))
        }
    }

    private func advance(_ record: fabric_record, _ count: UInt64) {
        assembly?.arrived += count
        if assembly?.arrived == record.length { complete(record) }
    }

    private func complete(_ record: fabric_record) {
        guard let receive = assembly?.receive else {
            dropAssembly()
            if record.flags & UInt8(FABRIC_IMMEDIATE) != 0 {
                guard let (request, _) = takeReceive() else { return lack(record) }
                completeReceive(request.id, IBV_WC_SUCCESS, IBV_WC_RECV_RDMA_WITH_IMM, record)
            }
            return carriedOut(record)
        }
        guard record.flags & UInt8(FABRIC_INVALIDATE) == 0 || invalidate(record.immediate) else {
            return failAssembly(IBV_WC_REM_INV_REQ_ERR, record, IBV_WC_REM_INV_REQ_ERR)
        }
        completeReceive(receive.request.id, IBV_WC_SUCCESS, IBV_WC_RECV, record)
        dropAssembly()
        carriedOut(record)
    }

    private func failAssembly(
        _ status: ibv_wc_status, _ record: fabric_record, _ reported: ibv_wc_status
    ) {
        guard let id = assembly?.receive?.request.id else { return }
        dropAssembly()
        failReceive(id, status, record, reported)
        carriedOut(record)
    }

    func dropAssembly() {
        assembly?.receive?.pieces.deallocate()
        assembly = nil
    }

    /// Into the error state: the receive that was being filled, too.
    func flushAssembly() {
        if let receive = assembly?.receive { completeReceive(receive.request.id, IBV_WC_WR_FLUSH_ERR) }
        dropAssembly()
    }

    // MARK: answers

    /// Sends one; false when there is no room for all of it yet.
    func answer(_ next: Answer, _ writer: Writer) -> Bool {
        if let request = next.request, case .link(let link) = writer {
            return give(request, link)
        }
        var record = fabric_record()
        record.kind = UInt8(FABRIC_VALUE.rawValue)
        (record.destination, record.source) = (attributes.dest_qp_num, number)
        (record.sequence, record.address) = (next.sequence, next.value)
        return writer.send(record, payload: 0) { _ in }
    }

    /// The bytes that an RDMA READ asks for, which may have been withdrawn since. Then nothing that came
    /// after it is answered: an answer would tell the peer that the READ had succeeded.
    private func give(_ request: fabric_record, _ link: OutgoingLink) -> Bool {
        guard let start = target(request, IBV_ACCESS_REMOTE_READ) else {
            answers.removeLast(answers.count - 1)
            given = 0
            refuse(request, IBV_WC_REM_ACCESS_ERR, IBV_EVENT_QP_ACCESS_ERR)
            return true
        }
        var record = fabric_record()
        record.kind = UInt8(FABRIC_RESPONSE.rawValue)
        (record.destination, record.source) = (attributes.dest_qp_num, number)
        (record.sequence, record.length) = (request.sequence, request.length)
        let pieces = Pieces(UnsafeMutableRawPointer(bitPattern: UInt(start))!, Int(request.length))
        defer { pieces.free() }
        while given < request.length {
            let count = min(Int(request.length - given), OutgoingLink.largestPayload)
            record.operands.0 = given
            guard link.send(record, pieces, at: given, count: count) else { return false }
            given += UInt64(count)
        }
        given = 0
        return true
    }
}
