// SPDX-License-Identifier: Apache-2.0
import CVerbs

/// The sending half of a queue pair: posted requests become records in the peer's ring, or are
/// carried out at once in the peer's memory; acknowledgements complete them, in order.
extension QueuePair {
    // MARK: posting

    /// ibv_post_send. errno; `bad` is then the first request that was not taken.
    func post(
        _ first: UnsafeMutablePointer<ibv_send_wr>?,
        _ bad: UnsafeMutablePointer<UnsafeMutablePointer<ibv_send_wr>?>?
    ) -> Int32 {
        var next = first
        var code: Int32 = 0
        while let request = next {
            code = append(request)
            if code != 0 {
                bad?.pointee = request
                break
            }
            next = request.pointee.next
        }
        sent()
        return code
    }

    /// After one or more requests were appended.
    func sent() {
        if state == IBV_QPS_ERR || state == IBV_QPS_SQE { flushSends() } else { transmit() }
        engine.links?.flush(urgentOnly: true)
        count()
    }

    var hasRoom: Bool { sends.posted - released < UInt64(attributes.cap.max_send_wr) }

    private func append(_ wr: UnsafeMutablePointer<ibv_send_wr>) -> Int32 {
        let flags = wr.pointee.send_flags
        var request = SendRequest()
        request.id = wr.pointee.wr_id
        request.opcode = wr.pointee.opcode
        request.isSignaled = signalsAll || flags & IBV_SEND_SIGNALED.rawValue != 0
        request.isSolicited = flags & IBV_SEND_SOLICITED.rawValue != 0
        request.isFenced = flags & IBV_SEND_FENCE.rawValue != 0
        request.isInline = flags & IBV_SEND_INLINE.rawValue != 0
        request.immediate = wr.pointee.imm_data
        if type == IBV_QPT_UD {
            guard let path = wr.pointee.wr.ud.ah else { return EINVAL }
            request.path = AddressHandle.of(path)
            request.queuePair = wr.pointee.wr.ud.remote_qpn & 0xffffff
            request.queueKey = wr.pointee.wr.ud.remote_qkey
        } else if wr.pointee.opcode == IBV_WR_ATOMIC_CMP_AND_SWP
            || wr.pointee.opcode == IBV_WR_ATOMIC_FETCH_AND_ADD
        {
            request.address = wr.pointee.wr.atomic.remote_addr
            request.key = wr.pointee.wr.atomic.rkey
            request.compare = wr.pointee.wr.atomic.compare_add
            request.swap = wr.pointee.wr.atomic.swap
        } else if wr.pointee.opcode == IBV_WR_BIND_MW {
            guard let mw = wr.pointee.bind_mw.mw, mw.pointee.type == IBV_MW_TYPE_2 else { return EINVAL }
            request.binding = WindowBinding(
                MemoryWindow.of(mw), wr.pointee.bind_mw.bind_info, key: wr.pointee.bind_mw.rkey)
        } else {
            request.address = wr.pointee.wr.rdma.remote_addr
            request.key = wr.pointee.wr.rdma.rkey
        }
        if type == IBV_QPT_XRC_SEND {
            request.queuePair = wr.pointee.qp_type.xrc.remote_srqn & 0xffffff
        }
        guard wr.pointee.num_sge >= 0 else { return EINVAL }
        return append(
            request, UnsafeBufferPointer(start: wr.pointee.sg_list, count: Int(wr.pointee.num_sge)))
    }

    /// Takes a request into the queue. errno.
    func append(_ wanted: SendRequest, _ list: UnsafeBufferPointer<ibv_sge>) -> Int32 {
        guard state.rawValue >= IBV_QPS_RTS.rawValue, sendCompletions != nil else { return EINVAL }
        guard isAllowed(wanted.opcode), list.count <= sends.piecesEach else { return EINVAL }
        guard hasRoom else { return ENOMEM }
        var request = wanted
        request.pieces = Int32(list.count)
        request.length = list.reduce(0) { $0 + UInt64($1.length) }
        if Self.isAtomic(request.opcode), request.length != 8 { return EINVAL }
        if Self.isReading(request.opcode) { request.isInline = false }
        let longest = type == IBV_QPT_UD ? Device.mtuBytes : Device.longestMessage
        guard request.length <= UInt64(longest) else { return EINVAL }
        if let path = request.path, path.domain !== domain { return EINVAL }
        let number = sends.posted
        if request.isInline {
            guard request.length <= UInt64(sends.inlineBytes) else { return EINVAL }
            var to = sends.inlineData(number)
            for piece in list where piece.length > 0 {
                memcpy(to, UnsafeRawPointer(bitPattern: UInt(piece.addr))!, Int(piece.length))
                to += Int(piece.length)
            }
        } else {
            for (i, piece) in list.enumerated() { sends.pieces(number)[i] = piece }
        }
        sends[number].pointee = request
        sends.posted += 1
        return 0
    }

    private func isAllowed(_ opcode: ibv_wr_opcode) -> Bool {
        switch opcode {
        case IBV_WR_SEND, IBV_WR_SEND_WITH_IMM: return true
        case IBV_WR_RDMA_WRITE, IBV_WR_RDMA_WRITE_WITH_IMM: return type != IBV_QPT_UD
        case IBV_WR_RDMA_READ, IBV_WR_ATOMIC_CMP_AND_SWP, IBV_WR_ATOMIC_FETCH_AND_ADD,
            IBV_WR_SEND_WITH_INV:
            return QueuePairTransitions.isReliable(type)
        case IBV_WR_BIND_MW, IBV_WR_LOCAL_INV: return type != IBV_QPT_UD
        default: return false
        }
    }

    static func isAtomic(_ opcode: ibv_wr_opcode) -> Bool {
        opcode == IBV_WR_ATOMIC_CMP_AND_SWP || opcode == IBV_WR_ATOMIC_FETCH_AND_ADD
    }

    static func isReading(_ opcode: ibv_wr_opcode) -> Bool {
        Self.isAtomic(opcode) || opcode == IBV_WR_RDMA_READ
    }

    /// About this side's windows; nothing travels.
    private static func isLocal(_ opcode: ibv_wr_opcode) -> Bool {
        opcode == IBV_WR_BIND_MW || opcode == IBV_WR_LOCAL_INV
    }

    // MARK: sending

    enum Launch { case done, waits }

    /// Sends what can be sent.
    func transmit() {
        while !isStalled, let partial {
            if sendOn(partial) == .waits { break }
        }
        while state == IBV_QPS_RTS, !isStalled, partial == nil, sends.sent < sends.posted {
            if launch(sends.sent) == .waits { break }
        }
        if sends.finished < sends.posted, type != IBV_QPT_UD { watch() }
    }

    private func launch(_ number: UInt64) -> Launch {
        let request = sends[number]
        if request.pointee.isFenced, readsUnderWay > 0 { return .waits }
        let reads = Self.isReading(request.pointee.opcode)
        if reads, readsUnderWay >= max(1, Int(attributes.max_rd_atomic)) { return .waits }
        if Self.isLocal(request.pointee.opcode) { return carryOutHere(number) }
        guard let local = locate(number) else {
            guard sends.finished == number else { return .waits }  // earlier ones complete first
            sends.sent = number + 1
            failRequest(number, IBV_WC_LOC_PROT_ERR)
            return .done
        }
        defer { local.free() }
        if type == IBV_QPT_UD {
            if case .full = sendDatagram(number, local) {
                stall()
                return .waits
            }
            sends.sent = number + 1
            finishRequest(number)
            return .done
        }
        guard let peer = readyPeer() else {
            guard type == IBV_QPT_UC, sends.finished == number else { return .waits }
            sends.sent = number + 1
            finishRequest(number)  // lost, as on any wire
            return .done
        }
        guard let owner = type == IBV_QPT_XRC_SEND ? ownerOfSharedQueue(request.pointee) : peer else {
            guard sends.finished == number else { return .waits }
            sends.sent = number + 1
            failRequest(number, IBV_WC_REM_INV_REQ_ERR)
            return .done
        }
        let destination = destination(request.pointee)
        if destination != lastDestination, sends.finished != number { return .waits }
        lastDestination = destination
        if engine.isLinked(owner) { return sendOverLink(number, local, owner) }
        if sends.finished == number,
            request.pointee.opcode == IBV_WR_RDMA_WRITE || request.pointee.opcode == IBV_WR_RDMA_READ
        {
            let status = place(number, local, owner)
            // A process that has ended answers nothing: the deadline decides, as for what is sent.
            if status == nil, type != IBV_QPT_UC { return .waits }
            // The peer refuses it itself: it has to go into the error state, too.
            if status == IBV_WC_REM_ACCESS_ERR, type != IBV_QPT_UC, let again = locate(number) {
                defer { again.free() }
                return sendRecord(number, again, owner)
            }
            sends.sent = number + 1
            finishRequest(number)
            return .done
        }
        return sendRecord(number, local, owner)
    }

    /// Once everything before it has been completed.
    private func carryOutHere(_ number: UInt64) -> Launch {
        guard sends.finished == number else { return .waits }
        sends.sent = number + 1
        let request = sends[number]
        let isDone =
            if let binding = request.pointee.binding {
                binding.window.bind(binding, on: self)
            } else {
                invalidate(request.pointee.immediate)
            }
        if isDone { finishRequest(number) } else { failRequest(number, IBV_WC_MW_BIND_ERR) }
        return .done
    }

    /// Takes back the window that a key opens; false when it may not be.
    func invalidate(_ key: UInt32) -> Bool {
        guard let window = engine.window(key), window.isInvalidatable(on: self) else { return false }
        window.unbind()
        return true
    }

    /// The slot of the peer, if its queue pair takes requests from this one.
    func readyPeer() -> UInt32? {
        let entry = engine.segment.queuePair(attributes.dest_qp_num & UInt32(FABRIC_QUEUE_PAIRS - 1))
        let owner = fabric_load32(entry)
        guard owner != 0, attributes.dest_qp_num < UInt32(FABRIC_QUEUE_PAIRS) else { return nil }
        if engine.isLinked(owner - 1) { return hasReadyPeer(at: owner - 1) ? owner - 1 : nil }
        let theirs = fabric_load32(&entry.pointee.state)
        guard theirs >= IBV_QPS_RTR.rawValue, theirs <= IBV_QPS_SQE.rawValue,
            entry.pointee.peer == self.number
        else { return nil }
        return owner - 1
    }

    /// The slot of the process that has the shared receive queue which a request names.
    func ownerOfSharedQueue(_ request: SendRequest) -> UInt32? {
        guard request.queuePair < UInt32(FABRIC_QUEUE_PAIRS) else { return nil }
        let queue = engine.segment.queuePair(request.queuePair)
        let target = engine.segment.queuePair(attributes.dest_qp_num)
        guard queue.pointee.kind == FABRIC_SHARED.rawValue,
            queue.pointee.xrc_domain == target.pointee.xrc_domain
        else { return nil }
        return engine.owner(of: request.queuePair)
    }

    /// Where a request goes, and whose protection domain its keys are looked up in.
    func destination(_ request: SendRequest) -> UInt32 {
        type == IBV_QPT_XRC_SEND ? request.queuePair : attributes.dest_qp_num
    }

    func record(_ number: UInt64) -> fabric_record {
        let request = sends[number]
        var record = fabric_record()
        record.destination = destination(request.pointee)
        record.source = self.number
        record.sequence = number
        record.length = request.pointee.length
        record.address = request.pointee.address
        record.key = request.pointee.key
        record.immediate = request.pointee.immediate
        // How often the peer may find no receive: 7 is for ever (IBTA 9.7.5.2.8).
        record.status = attributes.rnr_retry
        if request.pointee.isSolicited { record.flags |= UInt8(FABRIC_SOLICITED) }
        if type == IBV_QPT_UC { record.flags |= UInt8(FABRIC_UNRELIABLE) }
        switch request.pointee.opcode {
        case IBV_WR_SEND: record.kind = UInt8(FABRIC_SEND.rawValue)
        case IBV_WR_SEND_WITH_IMM:
            record.kind = UInt8(FABRIC_SEND.rawValue)
            record.flags |= UInt8(FABRIC_IMMEDIATE)
        case IBV_WR_SEND_WITH_INV:
            record.kind = UInt8(FABRIC_SEND.rawValue)
            record.flags |= UInt8(FABRIC_INVALIDATE)
        case IBV_WR_RDMA_WRITE: record.kind = UInt8(FABRIC_WRITE.rawValue)
        case IBV_WR_RDMA_WRITE_WITH_IMM:
            record.kind = UInt8(FABRIC_WRITE.rawValue)
            record.flags |= UInt8(FABRIC_IMMEDIATE)
        case IBV_WR_RDMA_READ: record.kind = UInt8(FABRIC_READ.rawValue)
        case IBV_WR_ATOMIC_FETCH_AND_ADD:
            record.kind = UInt8(FABRIC_FETCH_ADD.rawValue)
            record.operands.0 = request.pointee.compare
        default:
            record.kind = UInt8(FABRIC_COMPARE_SWAP.rawValue)
            record.operands = (request.pointee.compare, request.pointee.swap)
        }
        return record
    }

    private func sendRecord(_ number: UInt64, _ local: Pieces, _ owner: UInt32) -> Launch {
        guard let writer = engine.writer(to: owner) else { return .waits }
        let request = sends[number]
        let reads = Self.isReading(request.pointee.opcode)
        var record = record(number)
        let isSent: Bool
        if Self.isAtomic(request.pointee.opcode) {
            isSent = writer.send(record, payload: 0) { _ in }
        } else if reads || local.bytes > UInt64(RingWriter.largestPayload) {
            record.flags |= UInt8(FABRIC_BY_ADDRESS)
            isSent = writer.send(
                record, payload: local.count * MemoryLayout<fabric_piece>.stride, local.describe(to:))
        } else {
            isSent = writer.send(record, payload: Int(local.bytes), local.copy(to:))
        }
        // An unreliable request to a process that has ended is lost, and its end is noticed in time.
        guard isSent || (type == IBV_QPT_UC && !engine.isAlive(owner)) else {
            stall()
            return .waits
        }
        sends.sent = number + 1
        if reads { readsUnderWay += 1 }
        return .done
    }

    /// Until the ring has room again.
    func stall() {
        isStalled = true
        engine.stalled.append(self)
    }

    // MARK: the local side

    /// Where the bytes of a request lie; nil when a local key does not allow it.
    func locate(_ number: UInt64) -> Pieces? {
        let request = sends[number]
        if request.pointee.isInline {
            return Pieces(sends.inlineData(number), Int(request.pointee.length))
        }
        let count = Int(request.pointee.pieces)
        let writes = Self.isReading(request.pointee.opcode)
        return domain.flatMap {
            Pieces(engine, $0, sends.pieces(number), count, writes: writes)
        }
    }

    // MARK: in the peer's memory

    /// An RDMA WRITE or READ that is carried out here and now, so that the peer sees it although it
    /// only looks at its memory. Only when nothing sent before is still under way. nil: the peer's
    /// process has ended, or there is no memory for a ring.
    private func place(_ number: UInt64, _ local: Pieces, _ owner: UInt32) -> ibv_wc_status? {
        let request = sends[number]
        guard request.pointee.length > 0 else { return IBV_WC_SUCCESS }  // no key is looked at
        let writes = request.pointee.opcode == IBV_WR_RDMA_WRITE
        guard case .ring(let writer) = engine.writer(to: owner) else { return nil }
        return writer.placing { () -> ibv_wc_status? in
            // Before its keys: another process that takes its slot has other keys.
            let thread = engine.segment.thread(of: owner)
            let needed = writes ? IBV_ACCESS_REMOTE_WRITE : IBV_ACCESS_REMOTE_READ
            guard
                let address = engine.segment.open(
                    request.pointee.key, of: owner,
                    in: engine.segment.queuePair(destination(request.pointee)).pointee.domain,
                    by: attributes.dest_qp_num, needed,
                    request.pointee.address, request.pointee.length)
            else { return IBV_WC_REM_ACCESS_ERR }
            return switch local.exchange(with: thread, at: address, writes: writes) {
            case .done: IBV_WC_SUCCESS
            case .unmapped: IBV_WC_REM_ACCESS_ERR
            case .gone: nil
            }
        }
    }

    // MARK: completions

    /// The peer has carried out everything before `sequence`.
    func acknowledged(until sequence: UInt64) {
        while sends.finished < min(sequence, sends.sent) { finishRequest(sends.finished) }
        deadline = 0
        if let partial, partial.number < sends.finished { self.partial = nil }  // what no peer says
        if sends.sent < sends.posted { transmit() }
        count()
        if state == IBV_QPS_SQD { reportDrained() }
    }

    /// The old value that an atomic request has brought.
    func returned(_ value: UInt64, to sequence: UInt64) {
        guard sequence >= sends.finished, sequence < sends.sent,
            Self.isAtomic(sends[sequence].pointee.opcode),
            let local = locate(sequence)
        else { return }
        var value = value
        withUnsafeMutableBytes(of: &value) { local.fill(from: $0.baseAddress!, count: 8) }
        local.free()
        acknowledged(until: sequence + 1)
    }

    func refused(_ sequence: UInt64, _ status: ibv_wc_status) {
        while sends.finished < min(sequence, sends.sent) { finishRequest(sends.finished) }
        guard sends.finished == sequence, sequence < sends.sent else { return }
        failRequest(sequence, status)
    }

    func finishRequest(_ number: UInt64) {
        let request = sends[number]
        if Self.isReading(request.pointee.opcode), readsUnderWay > 0 { readsUnderWay -= 1 }
        sends.finished = number + 1
        if request.pointee.isSignaled { complete(number, IBV_WC_SUCCESS) }
        request.pointee.letGo()
    }

    func failRequest(_ number: UInt64, _ status: ibv_wc_status) {
        complete(number, status)
        sends.finished = number + 1
        if QueuePairTransitions.isReliable(type) { breakDown() } else { stopSending() }
    }

    /// Everything that has not been completed.
    func flushSends() {
        while sends.finished < sends.posted {
            complete(sends.finished, IBV_WC_WR_FLUSH_ERR)
            sends[sends.finished].pointee.letGo()
            sends.finished += 1
        }
        sends.sent = sends.posted
        (readsUnderWay, partial) = (0, nil)
        count()
    }

    private func complete(_ number: UInt64, _ status: ibv_wc_status) {
        let request = sends[number]
        var entry = ibv_wc()
        entry.wr_id = request.pointee.id
        entry.status = status
        entry.qp_num = self.number
        entry.byte_len = UInt32(truncatingIfNeeded: request.pointee.length)
        entry.opcode =
            switch request.pointee.opcode {
            case IBV_WR_RDMA_WRITE, IBV_WR_RDMA_WRITE_WITH_IMM: IBV_WC_RDMA_WRITE
            case IBV_WR_RDMA_READ: IBV_WC_RDMA_READ
            case IBV_WR_ATOMIC_CMP_AND_SWP: IBV_WC_COMP_SWAP
            case IBV_WR_ATOMIC_FETCH_AND_ADD: IBV_WC_FETCH_ADD
            case IBV_WR_BIND_MW: IBV_WC_BIND_MW
            case IBV_WR_LOCAL_INV: IBV_WC_LOCAL_INV
            default: IBV_WC_SEND
            }
        sendCompletions?.add(
            Completion(
                entry: entry, queuePair: Unmanaged.passUnretained(self), releases: number + 1))
    }

    // MARK: patience

    private func watch() {
        guard !isTimed else { return }
        isTimed = true
        engine.timed.append(self)
    }

    /// How long the peer may be silent (IBTA 9.9.2.1.4.6); nil: for ever.
    private var patience: Int64? {
        attributes.timeout == 0
            ? nil : 4096 << Int64(attributes.timeout & 31) * Int64(attributes.retry_cnt + 1)
    }

    /// XRC: that of the shared receive queue which the oldest request names, too.
    private var hasLivingPeer: Bool {
        guard let owner = readyPeer(), engine.isAlive(owner) else { return false }
        guard type == IBV_QPT_XRC_SEND else { return true }
        return ownerOfSharedQueue(sends[sends.finished].pointee).map(engine.isAlive) ?? false
    }

    /// False when nothing is waited for any more.
    func checkDeadline(_ now: Int64) -> Bool {
        checkParked(now)
        guard sends.finished < sends.posted || parkedDeadline != 0 else { return false }
        guard sends.finished < sends.posted else { return true }
        if hasLivingPeer {
            deadline = 0
            if sends.sent < sends.posted { transmit() }
            return true
        }
        if type == IBV_QPT_UC {
            acknowledged(until: sends.sent)
            return sends.finished < sends.posted
        }
        guard let patience else { return true }
        if deadline == 0 { deadline = now + max(patience, 50_000_000) }
        guard now >= deadline else { return true }
        deadline = 0
        sends.sent = max(sends.sent, sends.finished + 1)
        failRequest(sends.finished, IBV_WC_RETRY_EXC_ERR)
        return sends.finished < sends.posted
    }
}
