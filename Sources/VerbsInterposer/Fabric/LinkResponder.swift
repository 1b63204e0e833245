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
        guard let assembly, assembly.sequence == record.sequence, assembly.arrived == offset else { return }
        takePart(record, payload, UInt64(min(room, record.length - offset)))
    }

    /// A request finds no receive.
    private func lack(_ record: fabric_record) {
        if isUnreliable(record) { return carriedOut(record) }  // lost
        beginWaiting(record)
    }

    /// After a receive was posted.
    func askAgain() {
        (resumesAt, owesResend) = (executed, true)
        oweAcknowledgement()
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
        if let receive = assembly.receive {
            guard let pieces = place(receive.request, receive.pieces) else {
                return failAssembly(IBV_WC_LOC_PROT_ERR, record, IBV_WC_REM_OP_ERR)
            }
            pieces.fill(from: payload, count: Int(count), at: Int(assembly.arrived))
            pieces.free()
        } else {
            guard let start = target(record, IBV_ACCESS_REMOTE_WRITE) else {
                dropAssembly()
                return refuse(record, IBV_WC_REM_ACCESS_ERR, IBV_EVENT_QP_ACCESS_ERR)
            }
            memcpy(UnsafeMutableRawPointer(bitPattern: UInt(start + assembly.arrived))!, payload, Int(count))
        }
        self.assembly?.arrived += count
        if assembly.arrived + count == record.length { complete(record) }
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

    /// The bytes that an RDMA READ asks for, which may have been withdrawn since.
    private func give(_ request: fabric_record, _ link: OutgoingLink) -> Bool {
        guard let start = target(request, IBV_ACCESS_REMOTE_READ) else {
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
