// SPDX-License-Identifier: Apache-2.0
import CVerbs

// ibv_create_qp_ex(3), ibv_wr_post(3): a queue pair whose requests are built by calls.

private typealias Extended = UnsafeMutablePointer<ibv_qp_ex>

/// The operations that each type of queue pair can be made with.
private func operations(_ type: ibv_qp_type) -> UInt64 {
    let sends = IBV_QP_EX_WITH_SEND.rawValue | IBV_QP_EX_WITH_SEND_WITH_IMM.rawValue
    let writes = IBV_QP_EX_WITH_RDMA_WRITE.rawValue | IBV_QP_EX_WITH_RDMA_WRITE_WITH_IMM.rawValue
    let others =
        IBV_QP_EX_WITH_RDMA_READ.rawValue | IBV_QP_EX_WITH_ATOMIC_CMP_AND_SWP.rawValue
        | IBV_QP_EX_WITH_ATOMIC_FETCH_AND_ADD.rawValue | IBV_QP_EX_WITH_SEND_WITH_INV.rawValue
    let windows = IBV_QP_EX_WITH_BIND_MW.rawValue | IBV_QP_EX_WITH_LOCAL_INV.rawValue
    switch type {
    case IBV_QPT_RC, IBV_QPT_XRC_SEND: return UInt64(sends | writes | others | windows)
    case IBV_QPT_UC: return UInt64(sends | writes | windows)
    case IBV_QPT_UD: return UInt64(sends)
    default: return 0
    }
}

/// nil with errno set.
func createExtendedQP(
    _ context: UnsafeMutablePointer<ibv_context>,
    _ wanted: UnsafeMutablePointer<ibv_qp_init_attr_ex>
) -> UnsafeMutablePointer<ibv_qp>? {
    let attributes = wanted.pointee
    let mask = { (bit: ibv_qp_init_attr_mask) in attributes.comp_mask & bit.rawValue != 0 }
    if attributes.qp_type == IBV_QPT_XRC_RECV { return createTarget(context, attributes) }
    let known =
        IBV_QP_INIT_ATTR_PD.rawValue | IBV_QP_INIT_ATTR_CREATE_FLAGS.rawValue
        | IBV_QP_INIT_ATTR_MAX_TSO_HEADER.rawValue | IBV_QP_INIT_ATTR_SEND_OPS_FLAGS.rawValue
    // A multicast datagram never comes back to the queue pair that sent it, asked for or not.
    let harmless = IBV_QP_CREATE_BLOCK_SELF_MCAST_LB.rawValue
    let batches = mask(IBV_QP_INIT_ATTR_SEND_OPS_FLAGS)
    guard attributes.comp_mask & ~known == 0,
        !mask(IBV_QP_INIT_ATTR_CREATE_FLAGS) || attributes.create_flags & ~harmless == 0,
        !mask(IBV_QP_INIT_ATTR_MAX_TSO_HEADER) || attributes.max_tso_header == 0,
        !batches || attributes.send_ops_flags & ~operations(attributes.qp_type) == 0
    else { return fail(EOPNOTSUPP) }
    guard mask(IBV_QP_INIT_ATTR_PD), let pd = attributes.pd else { return fail(EINVAL) }
    let initial = ibv_qp_init_attr(
        qp_context: attributes.qp_context, send_cq: attributes.send_cq, recv_cq: attributes.recv_cq,
        srq: attributes.srq, cap: attributes.cap, qp_type: attributes.qp_type,
        sq_sig_all: attributes.sq_sig_all)
    guard let made = makeQueuePair(pd, initial, batches: batches) else { return nil }
    wanted.pointee.cap = made.attributes.cap
    if batches {
        let qp = UnsafeMutableRawPointer(made.handle).assumingMemoryBound(to: ibv_qp_ex.self)
        fillFrame(qp)
        fillRequests(qp, attributes.send_ops_flags)
        fillSetters(qp, made.type)
    }
    return made.pointer
}

/// The receiving end of an XRC connection: no protection domain, queues or requests of its own.
private func createTarget(
    _ context: UnsafeMutablePointer<ibv_context>, _ wanted: ibv_qp_init_attr_ex
) -> UnsafeMutablePointer<ibv_qp>? {
    // librdmacm gives a protection domain too, which says nothing here.
    let known = IBV_QP_INIT_ATTR_XRCD.rawValue | IBV_QP_INIT_ATTR_PD.rawValue
    guard wanted.comp_mask & ~known == 0 else { return fail(EOPNOTSUPP) }
    guard wanted.comp_mask & IBV_QP_INIT_ATTR_XRCD.rawValue != 0, let xrcd = wanted.xrcd else {
        return fail(EINVAL)
    }
    let recipe = QueuePair.Recipe(
        context: context, type: IBV_QPT_XRC_RECV, role: .target, xrc: XRCDomain.of(xrcd),
        userContext: wanted.qp_context)
    let made = Engine.locked { QueuePair(Context.of(context).engine, recipe) }
    return made?.pointer ?? fail(ENOMEM)
}

private func queuePair(_ qp: Extended?) -> QueuePair {
    UnsafeMutableRawPointer(qp!).withMemoryRebound(to: fermata_qp.self, capacity: 1) {
        object($0.pointee.object, QueuePair.self)
    }
}

private func batch(_ qp: Extended?) -> SendBatch { queuePair(qp).batch.unsafelyUnwrapped }

/// Start, complete and abort: threads that use one queue pair take turns, batch by batch.
private func fillFrame(_ qp: Extended) {
    qp.pointee.wr_start = { qp in
        let queuePair = queuePair(qp)
        pthread_mutex_lock(&queuePair.handle.pointee.building)
        queuePair.batch?.clear()
    }
    qp.pointee.wr_complete = { qp in
        let (queuePair, batch) = (queuePair(qp), batch(qp))
        let code = batch.code == 0 ? Engine.locked { queuePair.post(batch) } : batch.code
        batch.clear()
        pthread_mutex_unlock(&queuePair.handle.pointee.building)
        return code == 0 ? 0 : failure(code)
    }
    qp.pointee.wr_abort = { qp in
        let queuePair = queuePair(qp)
        queuePair.batch?.clear()
        pthread_mutex_unlock(&queuePair.handle.pointee.building)
    }
}

private func remote(_ request: inout SendRequest, _ key: UInt32, _ address: UInt64) {
    request.key = key
    request.address = address
}

private func fillRequests(_ qp: Extended, _ wanted: UInt64) {
    let has = { (flag: ibv_qp_create_send_ops_flags) in wanted & UInt64(flag.rawValue) != 0 }
    if has(IBV_QP_EX_WITH_SEND) {
        qp.pointee.wr_send = { qp in batch(qp).begin(IBV_WR_SEND, qp!) { _ in } }
    }
    if has(IBV_QP_EX_WITH_SEND_WITH_IMM) {
        qp.pointee.wr_send_imm = { qp, immediate in
            batch(qp).begin(IBV_WR_SEND_WITH_IMM, qp!) { $0.immediate = immediate }
        }
    }
    if has(IBV_QP_EX_WITH_SEND_WITH_INV) {
        qp.pointee.wr_send_inv = { qp, key in
            batch(qp).begin(IBV_WR_SEND_WITH_INV, qp!) { $0.immediate = key }
        }
    }
    if has(IBV_QP_EX_WITH_LOCAL_INV) {
        qp.pointee.wr_local_inv = { qp, key in
            batch(qp).begin(IBV_WR_LOCAL_INV, qp!) { $0.immediate = key }
        }
    }
    if has(IBV_QP_EX_WITH_BIND_MW) {
        qp.pointee.wr_bind_mw = { qp, mw, key, info in
            batch(qp).begin(IBV_WR_BIND_MW, qp!) {
                $0.binding = WindowBinding(MemoryWindow.of(mw!), info!.pointee, key: key)
            }
        }
    }
    if has(IBV_QP_EX_WITH_RDMA_WRITE) {
        qp.pointee.wr_rdma_write = { qp, key, address in
            batch(qp).begin(IBV_WR_RDMA_WRITE, qp!) { remote(&$0, key, address) }
        }
    }
    if has(IBV_QP_EX_WITH_RDMA_WRITE_WITH_IMM) {
        qp.pointee.wr_rdma_write_imm = { qp, key, address, immediate in
            batch(qp).begin(IBV_WR_RDMA_WRITE_WITH_IMM, qp!) {
                remote(&$0, key, address)
                $0.immediate = immediate
            }
        }
    }
    if has(IBV_QP_EX_WITH_RDMA_READ) {
        qp.pointee.wr_rdma_read = { qp, key, address in
            batch(qp).begin(IBV_WR_RDMA_READ, qp!) { remote(&$0, key, address) }
        }
    }
    if has(IBV_QP_EX_WITH_ATOMIC_CMP_AND_SWP) {
        qp.pointee.wr_atomic_cmp_swp = { qp, key, address, compare, swap in
            batch(qp).begin(IBV_WR_ATOMIC_CMP_AND_SWP, qp!) {
                remote(&$0, key, address)
                ($0.compare, $0.swap) = (compare, swap)
            }
        }
    }
    if has(IBV_QP_EX_WITH_ATOMIC_FETCH_AND_ADD) {
        qp.pointee.wr_atomic_fetch_add = { qp, key, address, value in
            batch(qp).begin(IBV_WR_ATOMIC_FETCH_AND_ADD, qp!) {
                remote(&$0, key, address)
                $0.compare = value
            }
        }
    }
}

private func fillSetters(_ qp: Extended, _ type: ibv_qp_type) {
    if type == IBV_QPT_UD {
        qp.pointee.wr_set_ud_addr = { qp, path, number, key in
            batch(qp).address(AddressHandle.of(path!), number, key)
        }
    }
    if type == IBV_QPT_XRC_SEND {
        qp.pointee.wr_set_xrc_srqn = { qp, number in batch(qp).setSharedQueue(number) }
    }
    qp.pointee.wr_set_sge = { qp, key, address, length in
        batch(qp).setPiece(ibv_sge(addr: address, length: length, lkey: key))
    }
    qp.pointee.wr_set_sge_list = { qp, count, list in
        batch(qp).setPieces(UnsafeBufferPointer(start: list, count: count))
    }
    qp.pointee.wr_set_inline_data = { qp, start, length in
        var piece = ibv_data_buf(addr: start, length: length)
        withUnsafePointer(to: &piece) {
            batch(qp).setInline(UnsafeBufferPointer(start: $0, count: 1))
        }
    }
    qp.pointee.wr_set_inline_data_list = { qp, count, list in
        batch(qp).setInline(UnsafeBufferPointer(start: list, count: count))
    }
}
