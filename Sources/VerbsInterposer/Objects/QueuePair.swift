// SPDX-License-Identifier: Apache-2.0
import CVerbs

/// ibv_create_qp: state and attributes. What it sends is in Requester, what it receives in
/// Responder. Everything under the engine lock except `destroy`.
final class QueuePair {
    let handle: UnsafeMutablePointer<fermata_qp>
    let engine: Engine
    let role: Role
    /// nil for XRC targets, whose requests are judged by the shared receive queue's.
    let domain: ProtectionDomain?
    let xrc: XRCDomain?
    let type: ibv_qp_type
    let sendCompletions: CompletionQueue?
    let receiveCompletions: CompletionQueue?
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
    /// What requests have asked for, before the acknowledgement of what came after them.
    var answers: [Answer] = []
    /// Bytes of the first answer that are on their way.
    var given: UInt64 = 0
    /// The first of the requests that wait for a receive to be posted.
    var awaited: fabric_record?
    var hasToldLastReceive = false
    /// Of an XRC responder: which life of its target it knows.
    var generation: UInt32 = 0
    /// Where the last request went. XRC: a shared receive queue, which does not know what the last one
    /// has still to do.
    var lastDestination: UInt32 = 0

    // Over a link.
    /// What the peer has told of its state.
    var announcement: Announcement?
    /// A request of which only the beginning is on its way.
    var partial: (number: UInt64, offset: UInt64)?
    /// A message of which only the beginning has come.
    var assembly: Assembly?
    /// After a request was dropped for want of a receive: the only one that is taken next.
    var resumesAt: UInt64?
    /// Where the peer is to begin again, until it has been asked.
    var resendsFrom: UInt64?

    /// A target's handle has no part in the traffic; its responders (see XRCResponder) have no
    /// handle that an application knows.
    enum Role { case ordinary, target, responder }

    struct Recipe {
        var context: UnsafeMutablePointer<ibv_context>
        var type: ibv_qp_type
        var role = Role.ordinary
        var domain: ProtectionDomain?
        var xrc: XRCDomain?
        var send: CompletionQueue?
        var receive: CompletionQueue?
        var shared: SharedReceiveQueue?
        var cap = ibv_qp_cap()
        var signalsAll = false
        var userContext: UnsafeMutableRawPointer?
        var batches = false
        /// That of a target there is; nil: a new one.
        var number: UInt32?
    }

    /// nil when the job has too many.
    init?(_ engine: Engine, _ recipe: Recipe) {
        self.engine = engine
        (role, type) = (recipe.role, recipe.type)
        (domain, xrc) = (recipe.domain, recipe.xrc)
        (sendCompletions, receiveCompletions) = (recipe.send, recipe.receive)
        shared = recipe.shared
        signalsAll = recipe.signalsAll
        let cap = recipe.cap
        sends = SendQueue(
            depth: Int(cap.max_send_wr), pieces: Int(cap.max_send_sge),
            inlineBytes: Int(cap.max_inline_data))
        batch = recipe.batches ? SendBatch(type, like: sends) : nil
        let receivesHere = shared == nil && recipe.role == .ordinary
        receives = ReceiveQueue(
            depth: receivesHere ? Int(cap.max_recv_wr) : 0, pieces: Int(cap.max_recv_sge))
        handle = allocateHandle(fermata_qp.self)
        attributes.cap = cap
        let kind = recipe.role == .target ? FABRIC_TARGET : FABRIC_PAIR
        guard let number = recipe.number ?? engine.number(.pair(self), kind: kind) else {
            free(handle)
            return nil
        }
        self.number = number
        fill(recipe.context, recipe.userContext)
        guard role != .responder else { return }
        sendCompletions?.users += 1
        receiveCompletions?.users += 1
        domain?.users += 1
        xrc?.users += 1
        shared?.users += 1
        if role == .target { engine.openTarget(self) }
        handle.pointee.object = Unmanaged.passRetained(self).toOpaque()
        if recipe.number == nil { export() } else { loadTarget() }
    }

    private func fill(
        _ context: UnsafeMutablePointer<ibv_context>, _ userContext: UnsafeMutableRawPointer?
    ) {
        let qp = pointer
        qp.pointee.context = context
        qp.pointee.qp_context = userContext
        qp.pointee.pd = domain.map {
            UnsafeMutableRawPointer($0.handle).assumingMemoryBound(to: ibv_pd.self)
        }
        qp.pointee.send_cq = sendCompletions?.pointer
        qp.pointee.recv_cq = receiveCompletions?.pointer
        qp.pointee.srq = shared?.pointer
        qp.pointee.handle = number
        qp.pointee.qp_num = number
        qp.pointee.qp_type = type
        pthread_mutex_init(&qp.pointee.mutex, nil)
        pthread_cond_init(&qp.pointee.cond, nil)
        pthread_mutex_init(&handle.pointee.building, nil)
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
        guard engine.isCurrent else { return }
        let entry = engine.segment.queuePair(number)
        entry.pointee.access = UInt32(attributes.qp_access_flags)
        entry.pointee.domain = domain?.number ?? 0
        entry.pointee.peer = attributes.dest_qp_num
        entry.pointee.xrc_domain = xrc?.number ?? 0
        entry.pointee.type = type.rawValue
        entry.pointee.destination_reads = UInt32(attributes.max_dest_rd_atomic)
        entry.pointee.receiver_not_ready = UInt32(attributes.min_rnr_timer)
        fabric_store32(&entry.pointee.state, state.rawValue)
        pointer.pointee.state = state
    }

    /// Lets people see how far this side is. A forked child's copy and the responders of an XRC
    /// target, which are several, count nothing.
    func count() {
        guard engine.isCurrent, role == .ordinary else { return }
        let entry = engine.segment.queuePair(number)
        (entry.pointee.posted, entry.pointee.finished) = (sends.posted, sends.finished)
        entry.pointee.executed = executed
    }

    /// A target may have been changed by another handle, or by an error at a responder.
    private func loadTarget() {
        guard role == .target else { return }
        let entry = engine.segment.queuePair(number)
        adopt(ibv_qp_state(fabric_load32(&entry.pointee.state)))
        attributes.qp_access_flags = entry.pointee.access
        attributes.dest_qp_num = entry.pointee.peer
        attributes.max_dest_rd_atomic = UInt8(truncatingIfNeeded: entry.pointee.destination_reads)
        attributes.min_rnr_timer = UInt8(truncatingIfNeeded: entry.pointee.receiver_not_ready)
    }

    /// The state that the segment has, without what entering it would do.
    func adopt(_ known: ibv_qp_state) {
        state = known
        pointer.pointee.state = known
    }

    // MARK: modify

    /// ibv_modify_qp. errno; nothing is changed on failure.
    func modify(_ wanted: ibv_qp_attr, _ given: UInt32) -> Int32 {
        loadTarget()
        let mask = QueuePairTransitions.meant(type, given)
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
        if has(IBV_QP_AV), !engine.segment.isAddress(wanted.ah_attr) { return EINVAL }
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
        let (before, peer, reads) = (state, attributes.dest_qp_num, readsUnderWay > 0)
        state = target
        switch target {
        case IBV_QPS_RESET:
            reset()
            engine.segment.queuePair(number).pointee.generation &+= 1
        case IBV_QPS_ERR where before != IBV_QPS_ERR: flush()
        default: break
        }
        export()
        if reads, readsUnderWay == 0, engine.isCurrent { engine.waitForPeers() }
        announce(to: target == IBV_QPS_RESET ? peer : attributes.dest_qp_num)
        if target == IBV_QPS_RTS { transmit() }
        if target == IBV_QPS_SQD, before == IBV_QPS_RTS { reportDrained() }
    }

    func reset() {
        sends.clear()
        receives.clear()
        // What a responder has brought stays: the target's reset is not the shared receive queue's.
        if role != .responder {
            sendCompletions?.purge(self)
            receiveCompletions?.purge(self)
        }
        released = 0
        (deadline, readsUnderWay, executed, owesAcknowledgement) = (0, 0, 0, false)
        dropParked()
        (refusesRequests, refusal, answers) = (false, nil, [])
        dropAssembly()
        (partial, resumesAt, resendsFrom, given) = (nil, nil, nil, 0)
        hasToldLastReceive = false
        shared?.forget(self)
        engine.forget(self)
        (isStalled, isTimed) = (false, false)
        count()
        let cap = attributes.cap
        attributes = ibv_qp_attr()
        attributes.cap = cap
    }

    /// Into the error state because of something that happened.
    func breakDown() {
        guard state != IBV_QPS_ERR else { return }
        if role == .responder { breakTarget() } else { enter(IBV_QPS_ERR) }
    }

    /// Of a responder: the target is at fault, for all that it serves.
    private func breakTarget() {
        dropParked()
        shared?.forget(self)
        adopt(IBV_QPS_ERR)
        fabric_store32(&engine.segment.queuePair(number).pointee.state, IBV_QPS_ERR.rawValue)
        announce(to: attributes.dest_qp_num)
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
        flushAssembly()
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

    func uses(_ queue: CompletionQueue) -> Bool {
        sendCompletions === queue || receiveCompletions === queue
    }

    func raise(_ event: ibv_event_type) {
        guard role != .responder else {
            engine.queuePair(number)?.raise(event)
            return
        }
        Context.of(pointer.pointee.context).raise(event) { $0.element.qp = self.pointer }
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
        loadTarget()
        attr.pointee = attributes
        attr.pointee.qp_state = state
        attr.pointee.cur_qp_state = state
        attr.pointee.sq_draining = state == IBV_QPS_SQD && sends.finished < sends.sent ? 1 : 0
        initial.pointee = ibv_qp_init_attr()
        initial.pointee.qp_context = pointer.pointee.qp_context
        initial.pointee.send_cq = pointer.pointee.send_cq
        initial.pointee.recv_cq = pointer.pointee.recv_cq
        initial.pointee.srq = pointer.pointee.srq
        initial.pointee.cap = attributes.cap
        initial.pointee.qp_type = type
        initial.pointee.sq_sig_all = signalsAll ? 1 : 0
    }

    /// errno. Waits for acknowledgements of its events (ibv_destroy_qp(3)).
    func destroy() -> Int32 {
        Engine.locked {
            let (peer, reads) = (attributes.dest_qp_num, readsUnderWay > 0)
            reset()
            adopt(IBV_QPS_RESET)
            announce(to: peer)
            if engine.isCurrent {
                leaveSegment()
                if reads { engine.waitForPeers() }
            }
            sendCompletions?.users -= 1
            receiveCompletions?.users -= 1
            shared?.users -= 1
            domain?.users -= 1
            xrc?.users -= 1
        }
        let events = Context.of(pointer.pointee.context).forget(pointer)
        pthread_mutex_lock(&pointer.pointee.mutex)
        while Int(pointer.pointee.events_completed) != events {
            pthread_cond_wait(&pointer.pointee.cond, &pointer.pointee.mutex)
        }
        pthread_mutex_unlock(&pointer.pointee.mutex)
        sends.free()
        receives.free()
        free(handle)
        release(self)
        return 0
    }

    private func leaveSegment() {
        if role == .target { engine.closeTarget(self) } else { engine.removeNumbered(number) }
    }

    /// The end of a responder. Under the engine lock.
    func discard() {
        reset()
        sends.free()
        receives.free()
        free(handle)
    }
}
