// SPDX-License-Identifier: Apache-2.0
import CVerbs

// Queue pairs, address handles and multicast: ibv_create_qp(3), ibv_modify_qp(3), ibv_query_qp(3),
// ibv_create_ah(3), ibv_create_ah_from_wc(3), ibv_attach_mcast(3).

@c(fermata_ibv_create_qp)
public func createQP(
    _ pd: UnsafeMutablePointer<ibv_pd>, _ initial: UnsafeMutablePointer<ibv_qp_init_attr>
) -> UnsafeMutablePointer<ibv_qp>? {
    guard let made = makeQueuePair(pd, initial.pointee, batches: false) else { return nil }
    initial.pointee.cap = made.attributes.cap
    return made.pointer
}

/// The kinds that need no more than ibv_qp_init_attr says. nil with errno set.
func makeQueuePair(
    _ pd: UnsafeMutablePointer<ibv_pd>, _ initial: ibv_qp_init_attr, batches: Bool
) -> QueuePair? {
    let isInitiator = initial.qp_type == IBV_QPT_XRC_SEND
    let types = [IBV_QPT_RC, IBV_QPT_UC, IBV_QPT_UD, IBV_QPT_XRC_SEND]
    guard types.contains(where: { $0 == initial.qp_type }) else { return fail(EOPNOTSUPP) }
    guard initial.send_cq != nil, isInitiator || initial.recv_cq != nil,
        !isInitiator || initial.srq == nil, allows(initial.cap)
    else { return fail(EINVAL) }
    var cap = initial.cap
    cap.max_inline_data = max(cap.max_inline_data, Device.leastInline)
    let recipe = QueuePair.Recipe(
        context: pd.pointee.context, type: initial.qp_type, domain: ProtectionDomain.of(pd),
        send: initial.send_cq.map { CompletionQueue.of($0) },
        receive: isInitiator ? nil : initial.recv_cq.map { CompletionQueue.of($0) },
        shared: initial.srq.map { SharedReceiveQueue.of($0) }, cap: cap,
        signalsAll: initial.sq_sig_all != 0, userContext: initial.qp_context, batches: batches)
    return Engine.locked { QueuePair(Context.of(pd.pointee.context).engine, recipe) } ?? fail(ENOMEM)
}

private func allows(_ cap: ibv_qp_cap) -> Bool {
    cap.max_send_wr <= UInt32(Device.maxRequests) && cap.max_recv_wr <= UInt32(Device.maxRequests)
        && cap.max_send_sge <= UInt32(Device.maxPieces)
        && cap.max_recv_sge <= UInt32(Device.maxPieces) && cap.max_inline_data <= Device.largestInline
}

/// nil for a queue pair that was made without send_ops_flags.
@c(fermata_ibv_qp_to_qp_ex)
public func extendedQP(_ qp: UnsafeMutablePointer<ibv_qp>) -> UnsafeMutablePointer<ibv_qp_ex>? {
    guard QueuePair.of(qp).batch != nil else { return nil }
    return UnsafeMutableRawPointer(qp).assumingMemoryBound(to: ibv_qp_ex.self)
}

@c(fermata_ibv_modify_qp)
public func modifyQP(
    _ qp: UnsafeMutablePointer<ibv_qp>, _ attributes: UnsafeMutablePointer<ibv_qp_attr>, _ mask: Int32
) -> Int32 {
    let queuePair = QueuePair.of(qp)
    let code = Engine.locked { queuePair.modify(attributes.pointee, UInt32(bitPattern: mask)) }
    return code == 0 ? 0 : failure(code)
}

@c(fermata_ibv_query_qp)
public func queryQP(
    _ qp: UnsafeMutablePointer<ibv_qp>, _ attributes: UnsafeMutablePointer<ibv_qp_attr>, _ mask: Int32,
    _ initial: UnsafeMutablePointer<ibv_qp_init_attr>
) -> Int32 {
    let queuePair = QueuePair.of(qp)
    Engine.locked { queuePair.query(attributes, initial) }
    return 0
}

/// Writes become visible with the last byte last (process_vm_writev and memcpy copy upwards only by
/// habit), so nothing is promised.
@c(fermata_ibv_query_qp_data_in_order)
public func queryDataInOrder(_ qp: UnsafeMutablePointer<ibv_qp>, _ opcode: UInt32, _ flags: UInt32)
    -> Int32
{ 0 }

@c(fermata_ibv_destroy_qp)
public func destroyQP(_ qp: UnsafeMutablePointer<ibv_qp>) -> Int32 {
    let queuePair = QueuePair.of(qp)
    let isAttached = queuePair.type == IBV_QPT_UD && queuePair.engine.segment.isMember(queuePair.number)
    return isAttached ? failure(EBUSY) : queuePair.destroy()
}

@c(fermata_ibv_create_ah)
public func createAH(
    _ pd: UnsafeMutablePointer<ibv_pd>, _ attributes: UnsafeMutablePointer<ibv_ah_attr>
) -> UnsafeMutablePointer<ibv_ah>? {
    let domain = ProtectionDomain.of(pd)
    let segment = Context.of(pd.pointee.context).engine.segment
    guard segment.isAddress(attributes.pointee) else { return fail(EINVAL) }
    let made = Engine.locked { AddressHandle(domain, attributes.pointee) }
    return UnsafeMutableRawPointer(made.handle).assumingMemoryBound(to: ibv_ah.self)
}

@c(fermata_ibv_destroy_ah)
public func destroyAH(_ ah: UnsafeMutablePointer<ibv_ah>) -> Int32 {
    let handle = AddressHandle.of(ah)
    Engine.locked { handle.destroy() }
    return 0
}

@c(fermata_ibv_init_ah_from_wc)
public func initializeAH(
    _ context: UnsafeMutablePointer<ibv_context>, _ port: UInt8, _ entry: UnsafeMutablePointer<ibv_wc>,
    _ route: UnsafeMutablePointer<ibv_grh>?, _ attributes: UnsafeMutablePointer<ibv_ah_attr>
) -> Int32 {
    attributes.pointee = ibv_ah_attr()
    attributes.pointee.dlid = entry.pointee.slid
    attributes.pointee.sl = entry.pointee.sl
    attributes.pointee.src_path_bits = entry.pointee.dlid_path_bits
    attributes.pointee.port_num = port
    if entry.pointee.wc_flags & IBV_WC_GRH.rawValue != 0, let route {
        attributes.pointee.is_global = 1
        attributes.pointee.grh.dgid = route.pointee.sgid
        let flow = UInt32(bigEndian: route.pointee.version_tclass_flow)
        attributes.pointee.grh.flow_label = flow & 0xfffff
        attributes.pointee.grh.traffic_class = UInt8(truncatingIfNeeded: flow >> 20)
        attributes.pointee.grh.hop_limit = 0xff
    }
    return 0
}

@c(fermata_ibv_create_ah_from_wc)
public func createAHFromEntry(
    _ pd: UnsafeMutablePointer<ibv_pd>, _ entry: UnsafeMutablePointer<ibv_wc>,
    _ route: UnsafeMutablePointer<ibv_grh>?, _ port: UInt8
) -> UnsafeMutablePointer<ibv_ah>? {
    var attributes = ibv_ah_attr()
    guard initializeAH(pd.pointee.context, port, entry, route, &attributes) == 0 else { return nil }
    return createAH(pd, &attributes)
}

@c(fermata_ibv_attach_mcast)
public func attachMulticast(
    _ qp: UnsafeMutablePointer<ibv_qp>, _ group: UnsafePointer<ibv_gid>, _ lid: UInt16
) -> Int32 {
    let queuePair = QueuePair.of(qp)
    guard queuePair.type == IBV_QPT_UD, group.pointee.raw.0 == 0xff else { return failure(EINVAL) }
    let code = Engine.locked { queuePair.engine.segment.attach(queuePair.number, to: group.pointee) }
    return code == 0 ? 0 : failure(code)
}

@c(fermata_ibv_detach_mcast)
public func detachMulticast(
    _ qp: UnsafeMutablePointer<ibv_qp>, _ group: UnsafePointer<ibv_gid>, _ lid: UInt16
) -> Int32 {
    let queuePair = QueuePair.of(qp)
    let code = Engine.locked { () -> Int32 in
        guard queuePair.engine.isCurrent else { return 0 }
        return queuePair.engine.segment.detach(queuePair.number, from: group.pointee)
    }
    return code == 0 ? 0 : failure(code)
}
