// SPDX-License-Identifier: Apache-2.0
import CVerbs

// Completion channels and queues, shared receive queues: ibv_create_comp_channel(3),
// ibv_create_cq(3), ibv_get_cq_event(3), ibv_create_srq(3).

@c(fermata_ibv_create_comp_channel)
public func createChannel(
    _ context: UnsafeMutablePointer<ibv_context>
) -> UnsafeMutablePointer<ibv_comp_channel>? {
    guard let channel = CompletionChannel(context) else { return nil }
    return UnsafeMutableRawPointer(channel.handle).assumingMemoryBound(to: ibv_comp_channel.self)
}

@c(fermata_ibv_destroy_comp_channel)
public func destroyChannel(_ channel: UnsafeMutablePointer<ibv_comp_channel>) -> Int32 {
    CompletionChannel.of(channel).destroy()
}

@c(fermata_ibv_create_cq)
public func createCQ(
    _ context: UnsafeMutablePointer<ibv_context>, _ entries: Int32,
    _ userContext: UnsafeMutableRawPointer?,
    _ channel: UnsafeMutablePointer<ibv_comp_channel>?, _ vector: Int32
) -> UnsafeMutablePointer<ibv_cq>? {
    guard entries > 0, entries <= Device.maxCompletions, vector >= 0, vector < Device.completionVectors
    else { return fail(EINVAL) }
    return Engine.locked {
        CompletionQueue(
            context, entries: Int(entries), channel: channel.map { CompletionChannel.of($0) },
            userContext: userContext
        ).pointer
    }
}

@c(fermata_ibv_resize_cq)
public func resizeCQ(_ cq: UnsafeMutablePointer<ibv_cq>, _ entries: Int32) -> Int32 {
    guard entries > 0, entries <= Device.maxCompletions else { return failure(EINVAL) }
    let queue = CompletionQueue.of(cq)
    return Engine.locked { queue.resize(Int(entries)) }
}

@c(fermata_ibv_destroy_cq)
public func destroyCQ(_ cq: UnsafeMutablePointer<ibv_cq>) -> Int32 { CompletionQueue.of(cq).destroy() }

@c(fermata_ibv_get_cq_event)
public func getCQEvent(
    _ channel: UnsafeMutablePointer<ibv_comp_channel>,
    _ cq: UnsafeMutablePointer<UnsafeMutablePointer<ibv_cq>?>,
    _ userContext: UnsafeMutablePointer<UnsafeMutableRawPointer?>
) -> Int32 {
    guard let queue = CompletionChannel.of(channel).next() else { return -1 }
    cq.pointee = queue.pointer
    userContext.pointee = queue.pointer.pointee.cq_context
    return 0
}

@c(fermata_ibv_ack_cq_events)
public func acknowledgeCQEvents(_ cq: UnsafeMutablePointer<ibv_cq>, _ events: UInt32) {
    CompletionQueue.of(cq).acknowledge(events)
}

@c(fermata_ibv_create_srq)
public func createSRQ(
    _ pd: UnsafeMutablePointer<ibv_pd>, _ initial: UnsafeMutablePointer<ibv_srq_init_attr>
) -> UnsafeMutablePointer<ibv_srq>? {
    makeSharedQueue(pd, initial.pointee.attr, initial.pointee.srq_context, xrc: nil)
}

/// nil with errno set.
func makeSharedQueue(
    _ pd: UnsafeMutablePointer<ibv_pd>, _ wanted: ibv_srq_attr,
    _ userContext: UnsafeMutableRawPointer?,
    xrc: (domain: XRCDomain, completions: CompletionQueue)?
) -> UnsafeMutablePointer<ibv_srq>? {
    guard wanted.max_wr > 0, wanted.max_wr <= UInt32(Device.maxRequests),
        wanted.max_sge <= UInt32(Device.maxPieces)
    else { return fail(EINVAL) }
    let made = Engine.locked {
        SharedReceiveQueue(
            Context.of(pd.pointee.context).engine, ProtectionDomain.of(pd),
            depth: Int(wanted.max_wr), pieces: max(1, Int(wanted.max_sge)),
            userContext: userContext, xrc: xrc)
    }
    return made?.pointer ?? fail(ENOMEM)
}

@c(fermata_ibv_modify_srq)
public func modifySRQ(
    _ srq: UnsafeMutablePointer<ibv_srq>, _ attributes: UnsafeMutablePointer<ibv_srq_attr>,
    _ mask: Int32
) -> Int32 {
    let queue = SharedReceiveQueue.of(srq)
    let mask = UInt32(bitPattern: mask)
    guard mask & ~(IBV_SRQ_MAX_WR.rawValue | IBV_SRQ_LIMIT.rawValue) == 0 else {
        return failure(EINVAL)
    }
    let code = Engine.locked { () -> Int32 in
        if mask & IBV_SRQ_MAX_WR.rawValue != 0 {
            let depth = attributes.pointee.max_wr
            guard depth <= UInt32(Device.maxRequests), Int(depth) >= queue.queue.count, depth > 0 else {
                return EINVAL
            }
            queue.queue.resize(Int(depth))
        }
        if mask & IBV_SRQ_LIMIT.rawValue != 0 {
            guard Int(attributes.pointee.srq_limit) <= queue.queue.depth else { return EINVAL }
            queue.setLimit(Int(attributes.pointee.srq_limit))
        }
        return 0
    }
    return code == 0 ? 0 : failure(code)
}

@c(fermata_ibv_query_srq)
public func querySRQ(
    _ srq: UnsafeMutablePointer<ibv_srq>, _ attributes: UnsafeMutablePointer<ibv_srq_attr>
) -> Int32 {
    let queue = SharedReceiveQueue.of(srq)
    Engine.locked {
        attributes.pointee = ibv_srq_attr(
            max_wr: UInt32(queue.queue.depth), max_sge: UInt32(queue.queue.piecesEach),
            srq_limit: UInt32(queue.limit))
    }
    return 0
}

@c(fermata_ibv_destroy_srq)
public func destroySRQ(_ srq: UnsafeMutablePointer<ibv_srq>) -> Int32 {
    SharedReceiveQueue.of(srq).destroy()
}
