// SPDX-License-Identifier: Apache-2.0
import CVerbs

// Extended reliable connections: ibv_open_xrcd(3), ibv_create_srq_ex(3), ibv_open_qp(3),
// ibv_get_srq_num(3). verbs.h reaches them through the function table.

/// nil with errno set.
func openXRCD(
    _ context: UnsafeMutablePointer<ibv_context>, _ wanted: ibv_xrcd_init_attr
) -> UnsafeMutablePointer<ibv_xrcd>? {
    let needed = IBV_XRCD_INIT_ATTR_FD.rawValue | IBV_XRCD_INIT_ATTR_OFLAGS.rawValue
    guard wanted.comp_mask == needed else { return fail(EINVAL) }
    let engine = Context.of(context).engine
    var number: UInt32 = 0
    if wanted.fd >= 0 {
        var file = stat()
        guard fstat(wanted.fd, &file) == 0 else { return nil }
        let (device, inode) = (UInt64(file.st_dev), UInt64(file.st_ino))
        switch engine.segment.joinNamedDomain(device: device, inode: inode, flags: wanted.oflags) {
        case .found(let known): number = known
        case .failed(let code): return fail(code)
        }
    } else {
        guard wanted.oflags & O_CREAT != 0 else { return fail(EINVAL) }
        number = engine.segment.newDomain()
    }
    let domain = XRCDomain(context, engine, number: number, isNamed: wanted.fd >= 0)
    return UnsafeMutableRawPointer(domain.handle).assumingMemoryBound(to: ibv_xrcd.self)
}

func closeXRCD(_ xrcd: UnsafeMutablePointer<ibv_xrcd>) -> Int32 {
    let domain = XRCDomain.of(xrcd)
    let code = Engine.locked { domain.close() }
    return code == 0 ? 0 : failure(code)
}

/// nil with errno set.
func createExtendedSRQ(
    _ wanted: UnsafeMutablePointer<ibv_srq_init_attr_ex>
) -> UnsafeMutablePointer<ibv_srq>? {
    let attributes = wanted.pointee
    let has = { (bit: ibv_srq_init_attr_mask) in attributes.comp_mask & bit.rawValue != 0 }
    let type = has(IBV_SRQ_INIT_ATTR_TYPE) ? attributes.srq_type : IBV_SRQT_BASIC
    guard type == IBV_SRQT_BASIC || type == IBV_SRQT_XRC, !has(IBV_SRQ_INIT_ATTR_TM) else {
        return fail(EOPNOTSUPP)
    }
    guard has(IBV_SRQ_INIT_ATTR_PD), let pd = attributes.pd else { return fail(EINVAL) }
    guard type == IBV_SRQT_XRC else {
        var basic = ibv_srq_init_attr(srq_context: attributes.srq_context, attr: attributes.attr)
        return createSRQ(pd, &basic)
    }
    guard has(IBV_SRQ_INIT_ATTR_XRCD), let xrcd = attributes.xrcd, has(IBV_SRQ_INIT_ATTR_CQ),
        let cq = attributes.cq
    else { return fail(EINVAL) }
    return makeSharedQueue(
        pd, attributes.attr, attributes.srq_context,
        xrc: (XRCDomain.of(xrcd), CompletionQueue.of(cq)))
}

/// errno.
func numberOfSRQ(
    _ srq: UnsafeMutablePointer<ibv_srq>, _ number: UnsafeMutablePointer<UInt32>
) -> Int32 {
    let queue = SharedReceiveQueue.of(srq)
    guard queue.number != 0 else { return EOPNOTSUPP }
    number.pointee = queue.number
    return 0
}

/// Another handle of a target queue pair, perhaps of another process's. nil with errno set.
func openQP(
    _ context: UnsafeMutablePointer<ibv_context>, _ wanted: ibv_qp_open_attr
) -> UnsafeMutablePointer<ibv_qp>? {
    let has = { (bit: ibv_qp_open_attr_mask) in wanted.comp_mask & bit.rawValue != 0 }
    guard has(IBV_QP_OPEN_ATTR_NUM), has(IBV_QP_OPEN_ATTR_TYPE), has(IBV_QP_OPEN_ATTR_XRCD),
        let xrcd = wanted.xrcd, wanted.qp_type == IBV_QPT_XRC_RECV
    else { return fail(EINVAL) }
    let engine = Context.of(context).engine
    let made = Engine.locked { () -> QueuePair? in
        guard wanted.qp_num < UInt32(FABRIC_QUEUE_PAIRS) else { return nil }
        let entry = engine.segment.queuePair(wanted.qp_num)
        guard entry.pointee.xrc_domain == XRCDomain.of(xrcd).number,
            entry.pointee.kind == FABRIC_TARGET.rawValue, fabric_load32(&entry.pointee.users) > 0
        else { return nil }
        return QueuePair(
            engine,
            .init(
                context: context, type: IBV_QPT_XRC_RECV, role: .target, xrc: XRCDomain.of(xrcd),
                userContext: has(IBV_QP_OPEN_ATTR_CONTEXT) ? wanted.qp_context : nil,
                number: wanted.qp_num))
    }
    return made?.pointer ?? fail(EINVAL)
}
