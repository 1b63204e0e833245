// SPDX-License-Identifier: Apache-2.0
// Words for the numbers of the interface. The same words as rdma-core's, because scripts search
// programs' output for them (Tests/Verbs/abi compares).

/// A text that lives as long as the library.
private func text(_ string: StaticString) -> UnsafePointer<CChar> {
    UnsafeRawPointer(string.utf8Start).assumingMemoryBound(to: CChar.self)
}

@c(fermata_ibv_node_type_str)
public func nodeTypeName(_ type: Int32) -> UnsafePointer<CChar> {
    switch type {
    case 1: text("InfiniBand channel adapter")
    case 2: text("InfiniBand switch")
    case 3: text("InfiniBand router")
    case 4: text("iWARP NIC")
    case 5: text("usNIC")
    case 6: text("usNIC UDP")
    case 7: text("unspecified")
    default: text("unknown")
    }
}

@c(fermata_ibv_port_state_str)
public func portStateName(_ state: UInt32) -> UnsafePointer<CChar> {
    switch state {
    case 0: text("no state change (NOP)")
    case 1: text("down")
    case 2: text("init")
    case 3: text("armed")
    case 4: text("active")
    case 5: text("active defer")
    default: text("unknown")
    }
}

@c(fermata_ibv_event_type_str)
public func eventTypeName(_ event: UInt32) -> UnsafePointer<CChar> {
    switch event {
    case 0: text("CQ error")
    case 1: text("local work queue catastrophic error")
    case 2: text("invalid request local work queue error")
    case 3: text("local access violation work queue error")
    case 4: text("communication established")
    case 5: text("send queue drained")
    case 6: text("path migrated")
    case 7: text("path migration request error")
    case 8: text("local catastrophic error")
    case 9: text("port active")
    case 10: text("port error")
    case 11: text("LID change")
    case 12: text("P_Key change")
    case 13: text("SM change")
    case 14: text("SRQ catastrophic error")
    case 15: text("SRQ limit reached")
    case 16: text("last WQE reached")
    case 17: text("client reregistration")
    case 18: text("GID table change")
    case 19: text("WQ fatal")
    default: text("unknown")
    }
}

@c(fermata_ibv_wc_status_str)
public func completionStatusName(_ status: UInt32) -> UnsafePointer<CChar> {
    switch status {
    case 0: text("success")
    case 1: text("local length error")
    case 2: text("local QP operation error")
    case 3: text("local EE context operation error")
    case 4: text("local protection error")
    case 5: text("Work Request Flushed Error")
    case 6: text("memory management operation error")
    case 7: text("bad response error")
    case 8: text("local access error")
    case 9: text("remote invalid request error")
    case 10: text("remote access error")
    case 11: text("remote operation error")
    case 12: text("transport retry counter exceeded")
    case 13: text("RNR retry counter exceeded")
    case 14: text("local RDD violation error")
    case 15: text("remote invalid RD request")
    case 16: text("aborted error")
    case 17: text("invalid EE context number")
    case 18: text("invalid EE context state")
    case 19: text("fatal error")
    case 20: text("response timeout error")
    case 21: text("general error")
    case 22: text("TM error")
    case 23: text("TM software rendezvous")
    default: text("unknown")
    }
}
