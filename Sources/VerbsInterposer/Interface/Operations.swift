// SPDX-License-Identifier: Apache-2.0
import CVerbs

/// The entries of the function table that inline functions of verbs.h call. An empty entry makes
/// them answer EOPNOTSUPP.
func fillOperations(_ handle: UnsafeMutablePointer<fermata_context>) {
    let verbs = (UnsafeMutableRawPointer(handle) + 0).assumingMemoryBound(to: verbs_context.self)
    verbs.pointee.context.ops.poll_cq = { cq, limit, entries in
        guard let cq, limit > 0, let entries else { return 0 }
        let queue = CompletionQueue.of(cq)
        return Engine.look(queue) {
            let taken = queue.poll(Int(limit), entries)
            return taken > 0 ? taken : nil
        } ?? 0
    }
    verbs.pointee.context.ops.req_notify_cq = { cq, solicitedOnly in
        let queue = CompletionQueue.of(cq!)
        Engine.locked {
            queue.arm(solicitedOnly: solicitedOnly != 0)
            Engine.current?.expectSleep()
        }
        return 0
    }
    verbs.pointee.context.ops.post_send = { qp, request, bad in
        let queuePair = QueuePair.of(qp!)
        return Engine.locked { queuePair.post(request, bad) }
    }
    verbs.pointee.context.ops.post_recv = { qp, request, bad in
        let queuePair = QueuePair.of(qp!)
        return Engine.locked { queuePair.postReceive(request, bad) }
    }
    verbs.pointee.context.ops.alloc_mw = { pd, type in allocateMW(pd!, type) }
    verbs.pointee.context.ops.dealloc_mw = { deallocateMW($0!) }
    verbs.pointee.context.ops.bind_mw = { qp, mw, wanted in bindMW(qp!, mw!, wanted!.pointee) }
    verbs.pointee.context.ops.post_srq_recv = { srq, request, bad in
        let queue = SharedReceiveQueue.of(srq!)
        return Engine.locked { queue.post(request, bad) }
    }
    verbs.pointee.query_port = { context, port, attributes, size in
        guard port == 1 else { return EINVAL }
        var full = Device.port(Context.of(context!).engine.segment)
        memcpy(attributes!, &full, min(size, MemoryLayout<ibv_port_attr>.size))
        return 0
    }
    verbs.pointee.query_device_ex = { context, input, attributes, size in
        if let input, input.pointee.comp_mask != 0 { return EINVAL }
        guard size >= MemoryLayout<ibv_device_attr>.size else { return EINVAL }
        var full = ibv_device_attr_ex()
        full.orig_attr = Device.attributes(Context.of(context!).engine.segment.header.pointee.guid)
        full.completion_timestamp_mask = UInt64.max
        full.hca_core_clock = 1_000_000  // kHz: timestamps are nanoseconds
        full.phys_port_cnt_ex = 1
        memcpy(attributes!, &full, min(size, MemoryLayout<ibv_device_attr_ex>.size))
        return 0
    }
    verbs.pointee.query_rt_values = { _, values in
        let raw = values!.pointee.comp_mask & IBV_VALUES_MASK_RAW_CLOCK.rawValue
        values!.pointee.comp_mask = raw
        if raw != 0 {
            let now = fabric_now()
            values!.pointee.raw_clock = timespec(
                tv_sec: Int(now / 1_000_000_000), tv_nsec: Int(now % 1_000_000_000))
        }
        return 0
    }
    verbs.pointee.alloc_null_mr = { allocateNullMR($0!) }
    verbs.pointee.alloc_td = { context, wanted in allocateTD(context!, wanted!.pointee) }
    verbs.pointee.dealloc_td = { ThreadDomain.of($0!).destroy() }
    verbs.pointee.alloc_parent_domain = { context, wanted in
        allocateParentDomain(context!, wanted!.pointee)
    }
    verbs.pointee.open_xrcd = { context, wanted in openXRCD(context!, wanted!.pointee) }
    verbs.pointee.close_xrcd = { closeXRCD($0!) }
    verbs.pointee.create_srq_ex = { _, wanted in createExtendedSRQ(wanted!) }
    verbs.pointee.get_srq_num = { srq, number in numberOfSRQ(srq!, number!) }
    verbs.pointee.open_qp = { context, wanted in openQP(context!, wanted!.pointee) }
    verbs.pointee.create_qp_ex = { context, wanted in createExtendedQP(context!, wanted!) }
    verbs.pointee.create_cq_ex = { context, wanted in createExtendedCQ(context!, wanted!) }
}

extension Engine {
    /// How an application looks into a completion queue: what is there, else what progress brings.
    /// A look at an empty queue while nothing is to be done takes no lock: programs that talk by other
    /// means (UCX: shared memory) look into their queues all the time. Threads that look in vain give
    /// way, so that a peer on the same CPU can answer, but not each time: that takes longer than a
    /// look. Not under the lock, under which `take` is called.
    static func look<Found>(_ queue: CompletionQueue, _ take: () -> Found?) -> Found? {
        if queue.count == 0, let current, current.isAtRest {
            current.polls &+= 1
            if current.lookedInVain() { sched_yield() }
            return nil
        }
        var givesWay = false
        let found = locked { () -> Found? in
            guard let current else { return nil }
            current.polls &+= 1
            if let ready = take() {
                // Whoever always finds its own sends completed receives, too.
                if current.polls & 15 == 0 { current.progress() }
                return ready
            }
            current.progress()
            let brought = take()
            if brought == nil {
                current.rest()
                givesWay = current.lookedInVain()
            }
            return brought
        }
        if givesWay { sched_yield() }
        return found
    }

    /// Whether the thread should give way.
    private func lookedInVain() -> Bool {
        vainPolls &+= 1
        return vainPolls & 31 == 0
    }
}

extension QueuePair {
    /// ibv_post_recv. errno. Under the lock.
    func postReceive(
        _ first: UnsafeMutablePointer<ibv_recv_wr>?,
        _ bad: UnsafeMutablePointer<UnsafeMutablePointer<ibv_recv_wr>?>?
    ) -> Int32 {
        guard state != IBV_QPS_RESET, shared == nil, receives.depth > 0 else {
            bad?.pointee = first
            return EINVAL
        }
        let code = receives.post(list: first, bad)
        if state == IBV_QPS_ERR {
            while let taken = receives.take() { completeReceive(taken.request.id, IBV_WC_WR_FLUSH_ERR) }
        } else {
            takeParked()
            engine.answerWaiting()
        }
        return code
    }
}

extension SharedReceiveQueue {
    /// ibv_post_srq_recv. errno. Under the lock.
    func post(
        _ first: UnsafeMutablePointer<ibv_recv_wr>?,
        _ bad: UnsafeMutablePointer<UnsafeMutablePointer<ibv_recv_wr>?>?
    ) -> Int32 {
        let code = queue.post(list: first, bad)
        feed()
        engine.answerWaiting()
        return code
    }
}

extension ReceiveQueue {
    /// As many as there is room for. errno; `bad` is then the first that was not taken.
    fileprivate mutating func post(
        list first: UnsafeMutablePointer<ibv_recv_wr>?,
        _ bad: UnsafeMutablePointer<UnsafeMutablePointer<ibv_recv_wr>?>?
    ) -> Int32 {
        var next = first
        while let request = next {
            let code = post(request)
            if code != 0 {
                bad?.pointee = request
                return code
            }
            next = request.pointee.next
        }
        return 0
    }
}

extension Engine {
    /// Tells the peers whose requests have just found the receive they waited for: who posts may not
    /// look for progress soon, and may destroy its queue pair before it does.
    fileprivate func answerWaiting() {
        guard !acknowledging.isEmpty else { return }
        acknowledge()
        links?.flush(urgentOnly: false)
        if !acknowledging.isEmpty { leaveWork() }
    }
}
