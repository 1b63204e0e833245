// SPDX-License-Identifier: Apache-2.0
import CVerbs

// Memory windows: ibv_alloc_mw(3), ibv_bind_mw(3). verbs.h reaches them through the function table.

/// nil with errno set.
func allocateMW(
    _ pd: UnsafeMutablePointer<ibv_pd>, _ type: ibv_mw_type
) -> UnsafeMutablePointer<ibv_mw>? {
    guard type == IBV_MW_TYPE_1 || type == IBV_MW_TYPE_2 else { return fail(EINVAL) }
    let made = Engine.locked {
        MemoryWindow(Context.of(pd.pointee.context).engine, ProtectionDomain.of(pd), type)
    }
    guard let made else { return fail(ENOMEM) }
    return UnsafeMutableRawPointer(made.handle).assumingMemoryBound(to: ibv_mw.self)
}

func deallocateMW(_ mw: UnsafeMutablePointer<ibv_mw>) -> Int32 {
    let window = MemoryWindow.of(mw)
    Engine.locked { window.destroy() }
    return 0
}

/// errno. Type 1 only, as verbs.h has checked.
func bindMW(
    _ qp: UnsafeMutablePointer<ibv_qp>, _ mw: UnsafeMutablePointer<ibv_mw>, _ wanted: ibv_mw_bind
) -> Int32 {
    let (queuePair, window) = (QueuePair.of(qp), MemoryWindow.of(mw))
    return Engine.locked {
        guard QueuePairTransitions.isConnected(queuePair.type), queuePair.hasRoom,
            queuePair.state.rawValue >= IBV_QPS_RTS.rawValue
        else { return queuePair.hasRoom ? EINVAL : ENOMEM }
        var request = SendRequest()
        request.id = wanted.wr_id
        request.opcode = IBV_WR_BIND_MW
        request.isSignaled = queuePair.signalsAll || wanted.send_flags & IBV_SEND_SIGNALED.rawValue != 0
        request.isFenced = wanted.send_flags & IBV_SEND_FENCE.rawValue != 0
        request.binding = WindowBinding(window, wanted.bind_info, key: window.nextKey())
        let code = queuePair.append(request, UnsafeBufferPointer(start: nil, count: 0))
        queuePair.sent()
        return code
    }
}
