// SPDX-License-Identifier: Apache-2.0
import CVerbs

/// ibv_create_qp: state and attributes. What it sends is in Requester, what it receives in
/// Responder. Everything under the engine lock except `destroy`.
final class QueuePair {
    let handle: UnsafeMutablePointer<fermata_qp>
    let engine: Engine
    let domain: ProtectionDomain
    let type: ibv_qp_type
    let sendCompletions: CompletionQueue
    let receiveCompletions: CompletionQueue
    let shared: SharedReceiveQueue?
    let signalsAll: Bool
    private(set) var number: UInt32 = 0
    private(set) var state = IBV_QPS_RESET
    var attributes = ibv_qp_attr()
    var sends: SendQueue
    /// What is being built between ibv_wr_start and ibv_wr_complete; nil unless made for it.
    let batch: SendBatch?
    var receives: ReceiveQueue
    /// Send requests whose room was given back by polling.
    var released: UInt64 = 0

    // Requester.
    var isStalled = false
    /// In the engine's list of those with deadlines.
    var isTimed = false
    /// When what waits for the peer is given up; 0: nothing waits.
    var deadline: Int64 = 0
    /// Requests sent that read the peer's memory: at most `max_rd_atomic`.
    var readsUnderWay = 0

    // Responder.
    /// Requests of the peer carried out.
    var executed: UInt64 = 0
    var owesAcknowledgement = false
    /// Requests that found no receive posted, and everything after them.
    var parked: [ParkedRecord] = []
    var parkedDeadline: Int64 = 0
    /// An error was reported: what the peer had sent after it is dropped.
    var refusesRequests = false
    var refusal: (sequence: UInt64, status: ibv_wc_status)?
    var values: [(sequence: UInt64, value: UInt64)] = []
    var hasToldLastReceive = false

    init?(
        _ engine: Engine, _ domain: ProtectionDomain, _ type: ibv_qp_type,
        send: CompletionQueue, receive: CompletionQueue, shared: SharedReceiveQueue?,
        cap: ibv_qp_cap, signalsAll: Bool, userContext: UnsafeMutableRawPointer?, batches: Bool = false
    ) {
        self.engine = engine
        self.domain = domain
        self.type = type
        sendCompletions = send
        receiveCompletions = receive
        self.shared = shared
        self.signalsAll = signalsAll
        sends = SendQueue(
            depth: Int(cap.max_send_wr), pieces: Int(cap.max_send_sge),
            inlineBytes: Int(cap.max_inline_data))
        batch = batches ? SendBatch(type, like: sends) : nil
        receives = ReceiveQueue(
            depth: shared == nil ? Int(cap.max_recv_wr) : 0, pieces: Int(cap.max_recv_sge))
        handle = allocateHandle(fermata_qp.self)
        attributes.cap = cap
        guard let number = engine.add(self) else {
            free(handle)
            return nil
        }
        self.number = number
        send.users += 1
        receive.users += 1
        domain.users += 1
        shared?.users += 1
        fill(userContext)
        export()
    }

    private func fill(_ userContext: UnsafeMutableRawPointer?) {
        let qp = handle
        qp.pointee.qp.context = domain.handle.pointee.pd.context
        qp.pointee.qp.qp_context = userContext
        qp.pointee.qp.pd = UnsafeMutableRawPointer(domain.handle).assumingMemoryBound(to: ibv_pd.self)
        qp.pointee.qp.send_cq = UnsafeMutableRawPointer(sendCompletions.handle)
            .assumingMemoryBound(to: ibv_cq.self)
        qp.pointee.qp.recv_cq = UnsafeMutableRawPointer(receiveCompletions.handle)
            .assumingMemoryBound(to: ibv_cq.self)
        qp.pointee.qp.srq = shared?.pointer
        qp.pointee.qp.handle = number
        qp.pointee.qp.qp_num = number
        qp.pointee.qp.qp_type = type
        pthread_mutex_init(&qp.pointee.qp.mutex, nil)
        pthread_cond_init(&qp.pointee.qp.cond, nil)
        pthread_mutex_init(&qp.pointee.building, nil)
        qp.pointee.object = Unmanaged.passRetained(self).toOpaque()
    }

    static func of(_ qp: UnsafeMutablePointer<ibv_qp>) -> QueuePair {
        qp.withMemoryRebound(to: fermata_qp.self, capacity: 1) {
            object($0.pointee.object, QueuePair.self)
        }
    }

    var pointer: UnsafeMutablePointer<ibv_qp> {
        UnsafeMutableRawPointer(handle).assumingMemoryBound(to: ibv_qp.self)
    }

    /// What peers that place data themselves need to know.
    private func export() {
        let entry = engine.segment.queuePair(number)
        entry.pointee.access = UInt32(attributes.qp_access_flags)
        entry.pointee.domain = domain.number
        entry.pointee.peer = attributes.dest_qp_num
        fabric_store32(&entry.pointee.state, state.rawValue)
        handle.pointee.qp.state = state
    }

    // MARK: modify

    /// ibv_modify_qp. errno; nothing is changed on failure.
    func modify(_ wanted: ibv_qp_attr, _ mask: UInt32) -> Int32 {
        let has = { (bit: ibv_qp_attr_mask) in mask & bit.rawValue != 0 }
        if has(IBV_QP_CUR_STATE), wanted.cur_qp_state != state,
            !(wanted.cur_qp_state == IBV_QPS_RTS && state == IBV_QPS_SQE)
        {
            return EINVAL
        }
        let target = has(IBV_QP_STATE) ? wanted.qp_state : state
        let bad = QueuePairTransitions.check(type, from: state, to: target, mask: mask)
        guard bad == 0 else { return bad }
        if has(IBV_QP_PORT), wanted.port_num != 1 { return EINVAL }
        if has(IBV_QP_PKEY_INDEX), wanted.pkey_index != 0 { return EINVAL }
        if has(IBV_QP_AV), wanted.ah_attr.port_num != 1 { return EINVAL }
        if has(IBV_QP_AV), wanted.ah_attr.is_global != 0, wanted.ah_attr.grh.sgid_index != 0 {
            return EINVAL
        }
        if has(IBV_QP_MAX_QP_RD_ATOMIC), Int32(wanted.max_rd_atomic) > Device.maxReads { return EINVAL }
        if has(IBV_QP_MAX_DEST_RD_ATOMIC), Int32(wanted.max_dest_rd_atomic) > Device.maxReads {
            return EINVAL
        }
        if has(IBV_QP_PATH_MTU),
            wanted.path_mtu.rawValue < IBV_MTU_256.rawValue
                || wanted.path_mtu.rawValue > IBV_MTU_4096.rawValue
        {
            return EINVAL
        }
        take(wanted, has)
        enter(target)
        return 0
    }

    private func take(_ wanted: ibv_qp_attr, _ has: (ibv_qp_attr_mask) -> Bool) {
        if has(IBV_QP_ACCESS_FLAGS) { attributes.qp_access_flags = wanted.qp_access_flags }
        if has(IBV_QP_PKEY_INDEX) { attributes.pkey_index = wanted.pkey_index }
        if has(IBV_QP_PORT) { attributes.port_num = wanted.port_num }
        if has(IBV_QP_QKEY) { attributes.qkey = wanted.qkey }
        if has(IBV_QP_AV) { attributes.ah_attr = wanted.ah_attr }
        if has(IBV_QP_PATH_MTU) { attributes.path_mtu = wanted.path_mtu }
        if has(IBV_QP_TIMEOUT) { attributes.timeout = wanted.timeout }
        if has(IBV_QP_RETRY_CNT) { attributes.retry_cnt = wanted.retry_cnt }
        if has(IBV_QP_RNR_RETRY) { attributes.rnr_retry = wanted.rnr_retry }
        if has(IBV_QP_RQ_PSN) { attributes.rq_psn = wanted.rq_psn & 0xffffff }
        if has(IBV_QP_SQ_PSN) { attributes.sq_psn = wanted.sq_psn & 0xffffff }
        if has(IBV_QP_MAX_QP_RD_ATOMIC) { attributes.max_rd_atomic = wanted.max_rd_atomic }
        if has(IBV_QP_MAX_DEST_RD_ATOMIC) { attributes.max_dest_rd_atomic = wanted.max_dest_rd_atomic }
        if has(IBV_QP_MIN_RNR_TIMER) { attributes.min_rnr_timer = wanted.min_rnr_timer }
        if has(IBV_QP_DEST_QPN) { attributes.dest_qp_num = wanted.dest_qp_num & 0xffffff }
        if has(IBV_QP_ALT_PATH) {
            attributes.alt_ah_attr = wanted.alt_ah_attr
            attributes.alt_pkey_index = wanted.alt_pkey_index
            attributes.alt_port_num = wanted.alt_port_num
            attributes.alt_timeout = wanted.alt_timeout
        }
        if has(IBV_QP_PATH_MIG_STATE) { attributes.path_mig_state = wanted.path_mig_state }
    }

    private func enter(_ target: ibv_qp_state) {
        let before = state
        state = target
        switch target {
        case IBV_QPS_RESET: reset()
        case IBV_QPS_ERR where before != IBV_QPS_ERR: flush()
        default: break
        }
        export()
        if target == IBV_QPS_RTS { transmit() }
        if target == IBV_QPS_SQD, before == IBV_QPS_RTS { reportDrained() }
    }

    private func reset() {
        sends.clear()
        receives.clear()
        sendCompletions.purge(self)
        receiveCompletions.purge(self)
        released = 0
        (deadline, readsUnderWay, executed, owesAcknowledgement) = (0, 0, 0, false)
        dropParked()
        (refusesRequests, refusal, values) = (false, nil, [])
        hasToldLastReceive = false
        shared?.forget(self)
        engine.acknowledging.removeAll { $0 === self }
        engine.stalled.removeAll { $0 === self }
        engine.timed.removeAll { $0 === self }
        (isStalled, isTimed) = (false, false)
        let cap = attributes.cap
        attributes = ibv_qp_attr()
        attributes.cap = cap
    }

    /// Into the error state because of something that happened.
    func breakDown() {
        guard state != IBV_QPS_ERR else { return }
        enter(IBV_QPS_ERR)
    }

    /// Unreliable queue pairs stop sending only (IBTA 10.3.1.6).
    func stopSending() {
        guard state == IBV_QPS_RTS || state == IBV_QPS_SQD else { return }
        state = IBV_QPS_SQE
        export()
        flushSends()
    }

    /// Every request that has not been completed completes with WR_FLUSH_ERR, in order.
    private func flush() {
        flushSends()
        while let taken = receives.take() {
            completeReceive(taken.request.id, IBV_WC_WR_FLUSH_ERR)
        }
        dropParked()
        if let shared {
            shared.forget(self)
            tellLastReceive()
        }
    }

    private func tellLastReceive() {
        guard !hasToldLastReceive else { return }
        hasToldLastReceive = true
        raise(IBV_EVENT_QP_LAST_WQE_REACHED)
    }

    func raise(_ event: ibv_event_type) {
        Context.of(handle.pointee.qp.context).raise(event) { $0.element.qp = self.pointer }
    }

    /// SQD: everything sent is finished.
    func reportDrained() {
        guard state == IBV_QPS_SQD, sends.finished == sends.sent else { return }
        raise(IBV_EVENT_SQ_DRAINED)
    }

    // MARK: query and destroy

    func query(
        _ attr: UnsafeMutablePointer<ibv_qp_attr>, _ initial: UnsafeMutablePointer<ibv_qp_init_attr>
    ) {
        attr.pointee = attributes
        attr.pointee.qp_state = state
        attr.pointee.cur_qp_state = state
        attr.pointee.sq_draining = state == IBV_QPS_SQD && sends.finished < sends.sent ? 1 : 0
        initial.pointee = ibv_qp_init_attr()
        initial.pointee.qp_context = handle.pointee.qp.qp_context
        initial.pointee.send_cq = handle.pointee.qp.send_cq
        initial.pointee.recv_cq = handle.pointee.qp.recv_cq
        initial.pointee.srq = handle.pointee.qp.srq
        initial.pointee.cap = attributes.cap
        initial.pointee.qp_type = type
        initial.pointee.sq_sig_all = signalsAll ? 1 : 0
    }

    /// errno. Waits for acknowledgements of its events (ibv_destroy_qp(3)).
    func destroy() -> Int32 {
        Engine.locked {
            reset()
            engine.remove(self)
            sendCompletions.users -= 1
            receiveCompletions.users -= 1
            shared?.users -= 1
            domain.users -= 1
        }
        let events = Context.of(handle.pointee.qp.context).forget(pointer)
        pthread_mutex_lock(&handle.pointee.qp.mutex)
        while Int(handle.pointee.qp.events_completed) != events {
            pthread_cond_wait(&handle.pointee.qp.cond, &handle.pointee.qp.mutex)
        }
        pthread_mutex_unlock(&handle.pointee.qp.mutex)
        sends.free()
        receives.free()
        free(handle)
        release(self)
        return 0
    }
}
