// SPDX-License-Identifier: Apache-2.0
import CVerbs

// What a connection means for a queue pair: INIT_QP_ATTR (cm_init_qp_attr in the kernel's cm.c), and
// the paths and address handles that events and queries tell.

extension ConnectionIdentifier {
    private static func mask(_ bits: ibv_qp_attr_mask...) -> UInt32 {
        bits.reduce(IBV_QP_STATE.rawValue) { $0 | $1.rawValue }
    }

    var hasRoute: Bool { ![.idle, .bound, .listening, .addressResolved].contains(state) }

    /// nil: not a state that this can be asked about.
    func attributes(for wanted: ibv_qp_state) -> ib_uverbs_qp_attr? {
        var result = ib_uverbs_qp_attr()
        result.qp_state = wanted.rawValue
        result.port_num = 1
        if isDatagram { return datagramAttributes(wanted, result) }
        switch wanted {
        case IBV_QPS_INIT:
            result.qp_attr_mask = Self.mask(IBV_QP_ACCESS_FLAGS, IBV_QP_PKEY_INDEX, IBV_QP_PORT)
            result.qp_access_flags =
                IBV_ACCESS_REMOTE_WRITE.rawValue | IBV_ACCESS_REMOTE_READ.rawValue
                | IBV_ACCESS_REMOTE_ATOMIC.rawValue
        case IBV_QPS_RTR:
            guard peer != nil else { return nil }
            result.qp_attr_mask = Self.mask(
                IBV_QP_AV, IBV_QP_PATH_MTU, IBV_QP_DEST_QPN, IBV_QP_RQ_PSN)
            result.ah_attr = engine.segment.pathHandle
            result.path_mtu = IBV_MTU_4096.rawValue
            result.dest_qp_num = remoteQueuePair
            result.rq_psn = remoteSequenceNumber
            guard QueuePairTransitions.isReliable(queuePairType) else { break }
            result.qp_attr_mask |= Self.mask(IBV_QP_MAX_DEST_RD_ATOMIC, IBV_QP_MIN_RNR_TIMER)
            result.max_dest_rd_atomic = min(responderResources, UInt8(Device.maxReads))
            result.min_rnr_timer = 0
        case IBV_QPS_RTS:
            guard peer != nil else { return nil }
            result.qp_attr_mask = Self.mask(IBV_QP_SQ_PSN)
            result.sq_psn = sequenceNumber
            guard QueuePairTransitions.isReliable(queuePairType) else { break }
            result.qp_attr_mask |= Self.mask(
                IBV_QP_TIMEOUT, IBV_QP_RETRY_CNT, IBV_QP_RNR_RETRY, IBV_QP_MAX_QP_RD_ATOMIC)
            result.timeout = timeout
            result.retry_cnt = min(retryCount, 7)
            result.rnr_retry = min(receiverNotReadyRetries, 7)
            result.max_rd_atomic = min(initiatorDepth, UInt8(Device.maxReads))
        default: return nil
        }
        return result
    }

    private func datagramAttributes(
        _ wanted: ibv_qp_state, _ empty: ib_uverbs_qp_attr
    ) -> ib_uverbs_qp_attr? {
        var result = empty
        result.qkey = Self.queueKey
        switch wanted {
        case IBV_QPS_INIT:
            result.qp_attr_mask = Self.mask(IBV_QP_PKEY_INDEX, IBV_QP_PORT, IBV_QP_QKEY)
        case IBV_QPS_RTR: result.qp_attr_mask = IBV_QP_STATE.rawValue
        case IBV_QPS_RTS: result.qp_attr_mask = Self.mask(IBV_QP_SQ_PSN)
        default: return nil
        }
        return result
    }

    /// The other side's resources are what this side may ask for, and the other way round.
    func mirrored(_ given: rdma_ucm_conn_param, privateBytes: UInt8) -> rdma_ucm_conn_param {
        var result = given
        (result.responder_resources, result.initiator_depth) = (
            given.initiator_depth, given.responder_resources
        )
        // The field travels whole: what was not given is zero.
        result.private_data_len = privateBytes
        return result
    }

    func datagramParameters(_ message: fabric_connection, privateBytes: UInt8) -> rdma_ucm_ud_param {
        var result = rdma_ucm_ud_param()
        result.qp_num = message.parameters.qp_num
        result.qkey = message.parameters.qkey != 0 ? message.parameters.qkey : Self.queueKey
        result.private_data = message.parameters.private_data
        result.private_data_len = privateBytes
        result.ah_attr = engine.segment.pathHandle
        return result
    }
}

extension Segment {
    private var lid: UInt16 { UInt16(truncatingIfNeeded: header.pointee.lid) }

    /// How every process of this host is reached.
    var pathHandle: ib_uverbs_ah_attr {
        var handle = ib_uverbs_ah_attr()
        handle.dlid = lid
        handle.is_global = 1
        handle.port_num = 1
        handle.grh.hop_limit = 1
        copyGID(to: &handle.grh.dgid)
        return handle
    }

    var path: ib_user_path_rec {
        var path = ib_user_path_rec()
        copyGID(to: &path.dgid)
        copyGID(to: &path.sgid)
        (path.dlid, path.slid) = (lid.bigEndian, lid.bigEndian)
        path.pkey = 0xffff
        path.reversible = 1
        path.numb_path = 1
        path.hop_limit = 1
        path.mtu = IBV_MTU_4096.rawValue
        path.mtu_selector = 2  // exactly (IBTA 15.2.5.16)
        path.rate_selector = 2
        path.rate = 3  // 10 Gb/s
        path.packet_life_time_selector = 2
        return path
    }

    private func copyGID<T>(to field: inout T) {
        let gid = Device.gid(header.pointee.guid)
        withUnsafeBytes(of: gid) { from in
            withUnsafeMutableBytes(of: &field) { $0.copyMemory(from: from) }
        }
    }
}
