// SPDX-License-Identifier: Apache-2.0
import CVerbs

/// A request that waits for a receive to be posted, kept outside of the ring.
struct ParkedRecord {
    let record: fabric_record
    let payload: UnsafeMutableRawPointer
    let source: UInt32
}

extension fabric_record {
    /// False for what its source sent before it was reset.
    func isOfThisLife(_ segment: Segment) -> Bool { generation == generationOfSource(segment) }

    func generationOfSource(_ segment: Segment) -> UInt8 {
        guard source < UInt32(FABRIC_QUEUE_PAIRS) else { return 0 }  // no queue pair, but an rdma_cm id
        return UInt8(truncatingIfNeeded: segment.queuePair(source).pointee.generation)
    }
}

/// The receiving half of a queue pair.
extension QueuePair {
    /// A record that arrived for this queue pair. `payload` is valid during the call.
    func receive(_ record: fabric_record, _ payload: UnsafeMutableRawPointer, from source: UInt32) {
        // Numbers that no peer comes to: nothing is computed with them.
        guard record.sequence < 1 << 62, record.length <= UInt64(Device.longestMessage) else { return }
        switch fabric_kind(UInt32(record.kind)) {
        case FABRIC_DATAGRAM: receiveDatagram(record, payload)
        case FABRIC_ACK where isFromPeer(record):
            if record.status == 0 {
                acknowledged(until: record.sequence)
            } else {
                refused(record.sequence, ibv_wc_status(UInt32(record.status)))
            }
        case FABRIC_VALUE where isFromPeer(record): returned(record.address, to: record.sequence)
        case FABRIC_SEND, FABRIC_WRITE, FABRIC_READ, FABRIC_FETCH_ADD, FABRIC_COMPARE_SWAP:
            guard isFromPeer(record), takesRequests, !refusesRequests else { return }
            if parked.isEmpty, carryOut(record, payload, source) { return }
            if isUnreliable(record) {
                carriedOut(record)  // without a receive it is lost
            } else {
                park(record, payload, source)
            }
        default: break
        }
    }

    func isFromPeer(_ record: fabric_record) -> Bool { record.source == attributes.dest_qp_num }

    var takesRequests: Bool {
        state.rawValue >= IBV_QPS_RTR.rawValue && state.rawValue <= IBV_QPS_SQE.rawValue
    }

    // MARK: requests

    /// False when a receive is needed and none is posted.
    func carryOut(
        _ record: fabric_record, _ payload: UnsafeMutableRawPointer, _ source: UInt32
    ) -> Bool {
        let isDone: Bool
        switch fabric_kind(UInt32(record.kind)) {
        case FABRIC_SEND: isDone = takeMessage(record, payload, source)
        case FABRIC_WRITE: isDone = takeWrite(record, payload, source)
        case FABRIC_READ: isDone = giveRead(record, payload, source)
        default: isDone = doAtomic(record)
        }
        guard isDone else { return false }
        carriedOut(record)
        return true
    }

    /// An acknowledgement is owed for unreliable requests too, within a node: it tells the sender that its
    /// buffers have been read. It never tells of an error.
    func carriedOut(_ record: fabric_record) {
        executed = record.sequence + 1
        oweAcknowledgement()
        count()
    }

    func isUnreliable(_ record: fabric_record) -> Bool {
        record.flags & UInt8(FABRIC_UNRELIABLE) != 0
    }

    func takeReceive() -> (
        request: ReceiveQueue.Request, pieces: UnsafeMutablePointer<ibv_sge>
    )? {
        if let shared { return shared.take() }
        return receives.take()
    }

    private func putReceiveBack() {
        if let shared { shared.putBack() } else { receives.putBack() }
    }

    private func takeMessage(
        _ record: fabric_record, _ payload: UnsafeMutableRawPointer, _ source: UInt32
    ) -> Bool {
        guard let (request, list) = takeReceive() else { return false }
        guard let pieces = place(request, list) else {
            failReceive(request.id, IBV_WC_LOC_PROT_ERR, record, IBV_WC_REM_OP_ERR)
            return true
        }
        defer { pieces.free() }
        guard pieces.bytes >= record.length else {
            failReceive(request.id, IBV_WC_LOC_LEN_ERR, record, IBV_WC_REM_INV_REQ_ERR)
            return true
        }
        switch fetch(record, payload, source, into: pieces) {
        case .done: break
        case .unmapped:
            failReceive(request.id, IBV_WC_LOC_QP_OP_ERR, record, IBV_WC_REM_OP_ERR)
            return true
        case .gone:  // as if its last packets had not come
            putReceiveBack()
            return true
        }
        guard record.flags & UInt8(FABRIC_INVALIDATE) == 0 || invalidate(record.immediate) else {
            failReceive(request.id, IBV_WC_REM_INV_REQ_ERR, record, IBV_WC_REM_INV_REQ_ERR)
            return true
        }
        completeReceive(request.id, IBV_WC_SUCCESS, IBV_WC_RECV, record)
        return true
    }

    /// The domain that a receive's keys belong to: that of the queue it was posted to.
    private var receiveDomain: ProtectionDomain? { shared?.domain ?? domain }

    /// Where a receive puts its message; nil when a key does not allow it.
    func place(
        _ request: ReceiveQueue.Request, _ list: UnsafeMutablePointer<ibv_sge>
    ) -> Pieces? {
        receiveDomain.flatMap { Pieces(engine, $0, list, Int(request.pieces), writes: true) }
    }

    /// The message's bytes, out of the record or out of the sender's memory.
    private func fetch(
        _ record: fabric_record, _ payload: UnsafeMutableRawPointer, _ source: UInt32,
        into pieces: Pieces
    ) -> Pieces.Outcome {
        guard record.flags & UInt8(FABRIC_BY_ADDRESS) != 0 else {
            guard Int(record.length) <= Int(record.bytes) - RingWriter.headerBytes else { return .unmapped }
            pieces.fill(from: payload, count: Int(record.length))
            return .done
        }
        let (theirs, count) = described(record, payload)
        let thread = engine.segment.thread(of: source)
        let outcome = pieces.exchange(with: thread, theirs, count, length: record.length, writes: false)
        // Once it is told that the request was flushed, the sender does with its memory what it likes.
        return outcome == .done && !isUnderWay(record, from: source) ? .gone : outcome
    }

    /// Whether its sender still waits for a request. Asked after its thread was looked up: a process that
    /// takes the sender's slot has one there only after the queue pair is gone.
    private func isUnderWay(_ record: fabric_record, from source: UInt32) -> Bool {
        let entry = engine.segment.queuePair(record.source)
        let state = fabric_load32(&entry.pointee.state)
        return fabric_load32(entry) == source + 1 && state >= IBV_QPS_RTS.rawValue
            && state <= IBV_QPS_SQE.rawValue && record.isOfThisLife(engine.segment)
    }

    private func described(
        _ record: fabric_record, _ payload: UnsafeMutableRawPointer
    ) -> (UnsafePointer<fabric_piece>, Int) {
        let count = (Int(record.bytes) - RingWriter.headerBytes) / MemoryLayout<fabric_piece>.stride
        return (UnsafePointer(payload.assumingMemoryBound(to: fabric_piece.self)), count)
    }

    private func takeWrite(
        _ record: fabric_record, _ payload: UnsafeMutableRawPointer, _ source: UInt32
    ) -> Bool {
        let hasImmediate = record.flags & UInt8(FABRIC_IMMEDIATE) != 0
        if hasImmediate, !hasReceive { return false }
        if record.length > 0 {
            guard let start = target(record, IBV_ACCESS_REMOTE_WRITE) else {
                refuse(record, IBV_WC_REM_ACCESS_ERR, IBV_EVENT_QP_ACCESS_ERR)
                return true
            }
            let pieces = Pieces(UnsafeMutableRawPointer(bitPattern: UInt(start))!, Int(record.length))
            defer { pieces.free() }
            switch fetch(record, payload, source, into: pieces) {
            case .done: break
            case .unmapped:
                refuse(record, IBV_WC_REM_ACCESS_ERR, IBV_EVENT_QP_ACCESS_ERR)
                return true
            case .gone: return true
            }
        }
        if hasImmediate, let (request, _) = takeReceive() {
            completeReceive(request.id, IBV_WC_SUCCESS, IBV_WC_RECV_RDMA_WITH_IMM, record)
        }
        return true
    }

    var hasReceive: Bool { shared.map { $0.queue.count > 0 } ?? (receives.count > 0) }

    private func giveRead(
        _ record: fabric_record, _ payload: UnsafeMutableRawPointer, _ source: UInt32
    ) -> Bool {
        guard record.length > 0 else { return true }
        guard attributes.max_dest_rd_atomic > 0 else {
            refuse(record, IBV_WC_REM_INV_REQ_ERR, IBV_EVENT_QP_REQ_ERR)
            return true
        }
        guard let start = target(record, IBV_ACCESS_REMOTE_READ) else {
            refuse(record, IBV_WC_REM_ACCESS_ERR, IBV_EVENT_QP_ACCESS_ERR)
            return true
        }
        guard !engine.isLinked(source) else {
            answers.append(.init(sequence: record.sequence, request: record))
            return true
        }
        guard case .ring(let writer) = engine.writer(to: source) else { return true }
        let (theirs, count) = described(record, payload)
        let thread = engine.segment.thread(of: source)
        let pieces = Pieces(UnsafeMutableRawPointer(bitPattern: UInt(start))!, Int(record.length))
        defer { pieces.free() }
        let outcome = writer.placing { () -> Pieces.Outcome in
            guard isUnderWay(record, from: source) else { return .gone }
            return pieces.exchange(with: thread, theirs, count, length: record.length, writes: true)
        }
        if outcome == .unmapped {
            refuse(record, IBV_WC_REM_ACCESS_ERR, IBV_EVENT_QP_ACCESS_ERR)
        }
        return true
    }

    private func doAtomic(_ record: fabric_record) -> Bool {
        guard attributes.max_dest_rd_atomic > 0, record.address & 7 == 0 else {
            refuse(record, IBV_WC_REM_INV_REQ_ERR, IBV_EVENT_QP_REQ_ERR)
            return true
        }
        var wanted = record
        wanted.length = 8
        guard let start = target(wanted, IBV_ACCESS_REMOTE_ATOMIC) else {
            refuse(record, IBV_WC_REM_ACCESS_ERR, IBV_EVENT_QP_ACCESS_ERR)
            return true
        }
        let word = UnsafeMutableRawPointer(bitPattern: UInt(start))
        let isAdd = UInt32(record.kind) == FABRIC_FETCH_ADD.rawValue
        let old =
            isAdd
            ? fabric_fetch_add(word, record.operands.0)
            : fabric_compare_swap(word, record.operands.0, record.operands.1)
        answers.append(.init(sequence: record.sequence, value: old))
        return true
    }

    /// Address that a request's remote key opens in this process; nil when it does not.
    func target(_ record: fabric_record, _ needed: ibv_access_flags) -> UInt64? {
        guard let domain else { return nil }
        return engine.segment.open(
            record.key, of: engine.slot, in: domain.number, by: number, needed, record.address,
            record.length)
    }

    // MARK: datagrams

    func receiveDatagram(_ record: fabric_record, _ payload: UnsafeMutableRawPointer) {
        let routeHeader = 40
        guard type == IBV_QPT_UD, takesRequests,
            UInt32(truncatingIfNeeded: record.operands.0) == attributes.qkey,
            Int(record.length) <= Int(record.bytes) - RingWriter.headerBytes,
            let (request, list) = takeReceive()
        else { return }  // dropped, as the service may
        guard let pieces = place(request, list) else {
            completeReceive(request.id, IBV_WC_LOC_PROT_ERR)
            return breakDown()
        }
        defer { pieces.free() }
        guard Int(pieces.bytes) >= Int(record.length) + routeHeader else {
            completeReceive(request.id, IBV_WC_LOC_LEN_ERR)
            return breakDown()
        }
        if record.flags & UInt8(FABRIC_ROUTED) != 0 {
            GlobalRouteHeader(length: record.length, source: record.operands.1).write(to: pieces)
        }
        pieces.fill(from: payload, count: Int(record.length), at: routeHeader)
        executed += 1
        count()
        completeReceive(request.id, IBV_WC_SUCCESS, IBV_WC_RECV, record)
    }

    // MARK: completions

    func completeReceive(
        _ id: UInt64, _ status: ibv_wc_status, _ opcode: ibv_wc_opcode = IBV_WC_RECV,
        _ record: fabric_record? = nil
    ) {
        var entry = ibv_wc()
        entry.wr_id = id
        entry.status = status
        entry.opcode = opcode
        entry.qp_num = number
        var completion = Completion(entry: entry, queuePair: Unmanaged.passUnretained(self))
        if let record {
            let isDatagram = type == IBV_QPT_UD
            completion.entry.byte_len =
                UInt32(truncatingIfNeeded: record.length) + (isDatagram ? 40 : 0)
            completion.entry.src_qp = record.source
            completion.entry.slid = UInt16(truncatingIfNeeded: engine.segment.header.pointee.lid)
            completion.solicited = record.flags & UInt8(FABRIC_SOLICITED) != 0
            if record.flags & UInt8(FABRIC_IMMEDIATE) != 0 {
                completion.entry.wc_flags |= IBV_WC_WITH_IMM.rawValue
                completion.entry.imm_data = record.immediate
            }
            if record.flags & UInt8(FABRIC_INVALIDATE) != 0 {
                completion.entry.wc_flags |= IBV_WC_WITH_INV.rawValue
                completion.entry.invalidated_rkey = record.immediate
            }
            if isDatagram, record.flags & UInt8(FABRIC_ROUTED) != 0 {
                completion.entry.wc_flags |= IBV_WC_GRH.rawValue
            }
        }
        receiveCompletions?.add(completion)
    }

    func failReceive(
        _ id: UInt64, _ status: ibv_wc_status, _ record: fabric_record, _ reported: ibv_wc_status
    ) {
        completeReceive(id, status)
        refuse(record, reported, nil)
    }

    /// Tells the requester that a request failed, and goes into the error state.
    func refuse(_ record: fabric_record, _ status: ibv_wc_status, _ event: ibv_event_type?) {
        if isUnreliable(record) {
            if event == nil { breakDown() }  // its own receive was at fault
            return
        }
        refusesRequests = true
        refusal = (record.sequence, status)
        oweAcknowledgement()
        if let event { raise(event) }
        breakDown()
    }

    // MARK: acknowledgements

    func oweAcknowledgement() {
        guard !owesAcknowledgement else { return }
        owesAcknowledgement = true
        engine.acknowledging.append(self)
    }

    /// False when there is no room for it yet.
    func sendAcknowledgement() -> Bool {
        guard let owner = engine.owner(of: attributes.dest_qp_num),
            let writer = engine.writer(to: owner)
        else { return forgiveAcknowledgement() }
        if type == IBV_QPT_UC, case .link = writer { return forgiveAcknowledgement() }
        guard sendAnswers(writer) else { return !engine.isAlive(owner) && forgiveAcknowledgement() }
        var record = fabric_record()
        record.destination = attributes.dest_qp_num
        record.source = number
        let again = refusal == nil ? resendsFrom : nil
        record.kind = UInt8((again == nil ? FABRIC_ACK : FABRIC_RESEND).rawValue)
        record.sequence = refusal?.sequence ?? again ?? executed
        record.status = UInt8(truncatingIfNeeded: refusal?.status.rawValue ?? 0)
        guard writer.send(record, payload: 0, { _ in }) else {
            return !engine.isAlive(owner) && forgiveAcknowledgement()
        }
        resendsFrom = nil
        return forgiveAcknowledgement()
    }

    private func forgiveAcknowledgement() -> Bool {
        owesAcknowledgement = false
        return true
    }

    private func sendAnswers(_ writer: Writer) -> Bool {
        while let next = answers.first {
            guard answer(next, writer) else { return false }
            answers.removeFirst()
        }
        return true
    }

    // MARK: requests without a receive

    private func park(_ record: fabric_record, _ payload: UnsafeMutableRawPointer, _ source: UInt32) {
        let bytes = Int(record.bytes) - RingWriter.headerBytes
        let copy = UnsafeMutableRawPointer.allocate(byteCount: max(8, bytes), alignment: 8)
        copy.copyMemory(from: payload, byteCount: bytes)
        if parked.isEmpty { beginWaiting(record) }
        parked.append(ParkedRecord(record: record, payload: copy, source: source))
    }

    func beginWaiting(_ record: fabric_record) {
        awaited = record
        shared?.wait(self)
        let forEver: UInt8 = 7
        guard record.status < forEver else { return }
        parkedDeadline =
            fabric_now() + Int64(record.status + 1)
            * ReceiverNotReady.nanoseconds(attributes.min_rnr_timer)
        if !isTimed {
            isTimed = true
            engine.timed.append(self)
        }
    }

    /// After a receive was posted: as many as there are receives for.
    func takeParked() {
        guard let first = awaited else { return }
        (awaited, parkedDeadline) = (nil, 0)
        guard !parked.isEmpty else { return askAgain(from: first.sequence) }
        let waiting = parked
        parked = []  // what an error would drop
        var done = 0
        while done < waiting.count, takesRequests, !refusesRequests {
            let next = waiting[done]
            guard carryOut(next.record, next.payload, next.source) else { break }
            next.payload.deallocate()
            done += 1
        }
        parked = Array(waiting[done...])
        guard takesRequests, !refusesRequests else { return dropParked() }
        if let first = parked.first { beginWaiting(first.record) }
    }

    func dropParked() {
        for record in parked { record.payload.deallocate() }
        parked = []
        (awaited, parkedDeadline) = (nil, 0)
    }

    /// The requester has tried as often as it may (IBTA 9.7.5.2.8).
    func checkParked(_ now: Int64) {
        guard parkedDeadline != 0, now >= parkedDeadline, let awaited else { return }
        refusal = (awaited.sequence, IBV_WC_RNR_RETRY_EXC_ERR)
        refusesRequests = true
        dropParked()
        oweAcknowledgement()
    }
}

/// The delay that min_rnr_timer stands for (IBTA table 46).
enum ReceiverNotReady {
    private static let microseconds: [Int64] = [
        655_360, 10, 20, 30, 40, 60, 80, 120, 160, 240, 320, 480, 640, 960, 1280, 1920, 2560, 3840,
        5120, 7680,
        10_240, 15_360, 20_480, 30_720, 40_960, 61_440, 81_920, 122_880, 163_840, 245_760, 327_680,
        491_520,
    ]
    static func nanoseconds(_ timer: UInt8) -> Int64 { microseconds[Int(timer & 31)] * 1000 }
}
