// SPDX-License-Identifier: Apache-2.0
import CVerbs

// Between the kernel's structures (rdma/ib_user_verbs.h, rdma/ib_user_sa.h) and those of verbs.h.
// librdmacm calls these with what it reads from /dev/infiniband/rdma_cm.

/// Sixteen bytes that are a GID, whichever structure they lie in.
private func copyGID(_ to: UnsafeMutableRawPointer, _ from: UnsafeRawPointer) {
    to.copyMemory(from: from, byteCount: 16)
}

@c(fermata_ibv_copy_ah_attr_from_kern)
public func copyAddressHandleAttributes(
    _ to: UnsafeMutablePointer<ibv_ah_attr>, _ from: UnsafeMutablePointer<ib_uverbs_ah_attr>
) {
    let kernel = from.pointee
    copyGID(&to.pointee.grh.dgid, &from.pointee.grh.dgid)
    to.pointee.grh.flow_label = kernel.grh.flow_label
    to.pointee.grh.sgid_index = kernel.grh.sgid_index
    to.pointee.grh.hop_limit = kernel.grh.hop_limit
    to.pointee.grh.traffic_class = kernel.grh.traffic_class
    to.pointee.dlid = kernel.dlid
    to.pointee.sl = kernel.sl
    to.pointee.src_path_bits = kernel.src_path_bits
    to.pointee.static_rate = kernel.static_rate
    to.pointee.is_global = kernel.is_global
    to.pointee.port_num = kernel.port_num
}

/// Two fields stay as the caller has them: the state, which is what the caller asked the kernel about
/// (rdma-core's function leaves it alone too), and the rate limit, which the kernel does not tell.
@c(fermata_ibv_copy_qp_attr_from_kern)
public func copyQueuePairAttributes(
    _ to: UnsafeMutablePointer<ibv_qp_attr>, _ from: UnsafeMutablePointer<ib_uverbs_qp_attr>
) {
    let kernel = from.pointee
    to.pointee.cur_qp_state = ibv_qp_state(kernel.cur_qp_state)
    to.pointee.path_mtu = ibv_mtu(kernel.path_mtu)
    to.pointee.path_mig_state = ibv_mig_state(kernel.path_mig_state)
    to.pointee.qkey = kernel.qkey
    to.pointee.rq_psn = kernel.rq_psn
    to.pointee.sq_psn = kernel.sq_psn
    to.pointee.dest_qp_num = kernel.dest_qp_num
    to.pointee.qp_access_flags = kernel.qp_access_flags
    to.pointee.cap = ibv_qp_cap(
        max_send_wr: kernel.max_send_wr, max_recv_wr: kernel.max_recv_wr,
        max_send_sge: kernel.max_send_sge, max_recv_sge: kernel.max_recv_sge,
        max_inline_data: kernel.max_inline_data)
    copyAddressHandleAttributes(&to.pointee.ah_attr, &from.pointee.ah_attr)
    copyAddressHandleAttributes(&to.pointee.alt_ah_attr, &from.pointee.alt_ah_attr)
    to.pointee.pkey_index = kernel.pkey_index
    to.pointee.alt_pkey_index = kernel.alt_pkey_index
    to.pointee.en_sqd_async_notify = kernel.en_sqd_async_notify
    to.pointee.sq_draining = kernel.sq_draining
    to.pointee.max_rd_atomic = kernel.max_rd_atomic
    to.pointee.max_dest_rd_atomic = kernel.max_dest_rd_atomic
    to.pointee.min_rnr_timer = kernel.min_rnr_timer
    to.pointee.port_num = kernel.port_num
    to.pointee.timeout = kernel.timeout
    to.pointee.retry_cnt = kernel.retry_cnt
    to.pointee.rnr_retry = kernel.rnr_retry
    to.pointee.alt_port_num = kernel.alt_port_num
    to.pointee.alt_timeout = kernel.alt_timeout
}

@c(fermata_ibv_copy_path_rec_from_kern)
public func copyPathRecordFromKernel(
    _ to: UnsafeMutablePointer<ibv_sa_path_rec>, _ from: UnsafeMutablePointer<ib_user_path_rec>
) {
    let kernel = from.pointee
    copyGID(&to.pointee.dgid, &from.pointee.dgid)
    copyGID(&to.pointee.sgid, &from.pointee.sgid)
    to.pointee.dlid = kernel.dlid
    to.pointee.slid = kernel.slid
    to.pointee.raw_traffic = Int32(truncatingIfNeeded: kernel.raw_traffic)
    to.pointee.flow_label = kernel.flow_label
    to.pointee.hop_limit = kernel.hop_limit
    to.pointee.traffic_class = kernel.traffic_class
    to.pointee.reversible = Int32(truncatingIfNeeded: kernel.reversible)
    to.pointee.numb_path = kernel.numb_path
    to.pointee.pkey = kernel.pkey
    to.pointee.sl = kernel.sl
    to.pointee.mtu_selector = kernel.mtu_selector
    to.pointee.mtu = UInt8(truncatingIfNeeded: kernel.mtu)
    to.pointee.rate_selector = kernel.rate_selector
    to.pointee.rate = kernel.rate
    to.pointee.packet_life_time_selector = kernel.packet_life_time_selector
    to.pointee.packet_life_time = kernel.packet_life_time
    to.pointee.preference = kernel.preference
}

@c(fermata_ibv_copy_path_rec_to_kern)
public func copyPathRecordToKernel(
    _ to: UnsafeMutablePointer<ib_user_path_rec>, _ from: UnsafeMutablePointer<ibv_sa_path_rec>
) {
    let path = from.pointee
    copyGID(&to.pointee.dgid, &from.pointee.dgid)
    copyGID(&to.pointee.sgid, &from.pointee.sgid)
    to.pointee.dlid = path.dlid
    to.pointee.slid = path.slid
    to.pointee.raw_traffic = UInt32(bitPattern: path.raw_traffic)
    to.pointee.flow_label = path.flow_label
    to.pointee.reversible = UInt32(bitPattern: path.reversible)
    to.pointee.mtu = UInt32(path.mtu)
    to.pointee.pkey = path.pkey
    to.pointee.hop_limit = path.hop_limit
    to.pointee.traffic_class = path.traffic_class
    to.pointee.numb_path = path.numb_path
    to.pointee.sl = path.sl
    to.pointee.mtu_selector = path.mtu_selector
    to.pointee.rate_selector = path.rate_selector
    to.pointee.rate = path.rate
    to.pointee.packet_life_time_selector = path.packet_life_time_selector
    to.pointee.packet_life_time = path.packet_life_time
    to.pointee.preference = path.preference
}
