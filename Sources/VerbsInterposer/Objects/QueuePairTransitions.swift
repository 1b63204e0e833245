// SPDX-License-Identifier: Apache-2.0
import CVerbs

/// Which changes of state ibv_modify_qp may make, and which attributes each needs and allows
/// (IBTA 10.3.1 and tables 91 ff.; ibv_modify_qp(3)). Pure.
enum QueuePairTransitions {
    struct Rule {
        var required: UInt32
        var optional: UInt32
    }

    /// 0, or EINVAL. `mask`: enum ibv_qp_attr_mask.
    static func check(
        _ type: ibv_qp_type, from: ibv_qp_state, to: ibv_qp_state, mask: UInt32
    ) -> Int32 {
        guard let rule = rule(type, from, to) else { return EINVAL }
        let always = IBV_QP_STATE.rawValue | IBV_QP_CUR_STATE.rawValue
        guard mask & rule.required == rule.required,
            mask & ~(rule.required | rule.optional | always) == 0
        else { return EINVAL }
        return 0
    }

    /// Without what the kernel passes over for an XRC queue pair, which has one half only
    /// (modify_qp_mask in drivers/infiniband/core/uverbs_cmd.c).
    static func meant(_ type: ibv_qp_type, _ mask: UInt32) -> UInt32 {
        switch type {
        case IBV_QPT_XRC_SEND: mask & ~bits(IBV_QP_MAX_DEST_RD_ATOMIC, IBV_QP_MIN_RNR_TIMER)
        case IBV_QPT_XRC_RECV:
            mask & ~bits(IBV_QP_MAX_QP_RD_ATOMIC, IBV_QP_RETRY_CNT, IBV_QP_RNR_RETRY)
        default: mask
        }
    }

    private static func bits(_ masks: ibv_qp_attr_mask...) -> UInt32 {
        var result: UInt32 = 0
        for mask in masks { result |= mask.rawValue }
        return result
    }

    static func isConnected(_ type: ibv_qp_type) -> Bool {
        type == IBV_QPT_RC || type == IBV_QPT_UC || type == IBV_QPT_XRC_SEND || type == IBV_QPT_XRC_RECV
    }

    /// Has RDMA READ, atomics, acknowledgements.
    static func isReliable(_ type: ibv_qp_type) -> Bool {
        type == IBV_QPT_RC || type == IBV_QPT_XRC_SEND || type == IBV_QPT_XRC_RECV
    }

    static func rule(_ type: ibv_qp_type, _ from: ibv_qp_state, _ to: ibv_qp_state) -> Rule? {
        let connected = isConnected(type)
        let none = Rule(required: 0, optional: 0)
        let key = connected ? IBV_QP_ACCESS_FLAGS.rawValue : IBV_QP_QKEY.rawValue
        switch (from, to) {
        case (_, IBV_QPS_RESET), (_, IBV_QPS_ERR): return none
        case (IBV_QPS_RESET, IBV_QPS_INIT):
            return Rule(required: bits(IBV_QP_PKEY_INDEX, IBV_QP_PORT) | key, optional: 0)
        case (IBV_QPS_INIT, IBV_QPS_INIT):
            return Rule(required: 0, optional: bits(IBV_QP_PKEY_INDEX, IBV_QP_PORT) | key)
        case (IBV_QPS_INIT, IBV_QPS_RTR): return toReceive(type, key)
        case (IBV_QPS_RTR, IBV_QPS_RTS): return toSend(type, key)
        case (IBV_QPS_RTS, IBV_QPS_RTS), (IBV_QPS_SQD, IBV_QPS_RTS), (IBV_QPS_SQE, IBV_QPS_RTS):
            let path = bits(IBV_QP_ALT_PATH, IBV_QP_PATH_MIG_STATE)
            let responder = isReliable(type) ? IBV_QP_MIN_RNR_TIMER.rawValue : 0
            return Rule(required: 0, optional: key | (connected ? path | responder : 0))
        case (IBV_QPS_RTS, IBV_QPS_SQD):
            return Rule(required: 0, optional: IBV_QP_EN_SQD_ASYNC_NOTIFY.rawValue)
        case (IBV_QPS_SQD, IBV_QPS_SQD):
            guard connected else {
                return Rule(required: 0, optional: bits(IBV_QP_PKEY_INDEX, IBV_QP_QKEY))
            }
            let requester = bits(
                IBV_QP_TIMEOUT, IBV_QP_RETRY_CNT, IBV_QP_RNR_RETRY, IBV_QP_MAX_QP_RD_ATOMIC,
                IBV_QP_MAX_DEST_RD_ATOMIC, IBV_QP_MIN_RNR_TIMER)
            return Rule(
                required: 0,
                optional: bits(
                    IBV_QP_AV, IBV_QP_PORT, IBV_QP_ALT_PATH, IBV_QP_ACCESS_FLAGS, IBV_QP_PKEY_INDEX,
                    IBV_QP_PATH_MIG_STATE) | (isReliable(type) ? requester : 0))
        default: return nil
        }
    }

    private static func toReceive(_ type: ibv_qp_type, _ key: UInt32) -> Rule {
        guard isConnected(type) else {
            return Rule(required: 0, optional: bits(IBV_QP_PKEY_INDEX) | key)
        }
        var required = bits(IBV_QP_AV, IBV_QP_PATH_MTU, IBV_QP_DEST_QPN, IBV_QP_RQ_PSN)
        if type == IBV_QPT_RC || type == IBV_QPT_XRC_RECV {
            required |= bits(IBV_QP_MAX_DEST_RD_ATOMIC, IBV_QP_MIN_RNR_TIMER)
        }
        return Rule(
            required: required,
            optional: bits(IBV_QP_ALT_PATH, IBV_QP_ACCESS_FLAGS, IBV_QP_PKEY_INDEX))
    }

    private static func toSend(_ type: ibv_qp_type, _ key: UInt32) -> Rule {
        guard isConnected(type) else { return Rule(required: bits(IBV_QP_SQ_PSN), optional: key) }
        var rule = Rule(
            required: bits(IBV_QP_SQ_PSN),
            optional: bits(IBV_QP_ACCESS_FLAGS, IBV_QP_ALT_PATH, IBV_QP_PATH_MIG_STATE))
        if type == IBV_QPT_RC || type == IBV_QPT_XRC_SEND {
            rule.required |= bits(
                IBV_QP_TIMEOUT, IBV_QP_RETRY_CNT, IBV_QP_RNR_RETRY, IBV_QP_MAX_QP_RD_ATOMIC)
        }
        if type == IBV_QPT_XRC_RECV { rule.required |= IBV_QP_TIMEOUT.rawValue }
        if isReliable(type) { rule.optional |= IBV_QP_MIN_RNR_TIMER.rawValue }
        return rule
    }
}
