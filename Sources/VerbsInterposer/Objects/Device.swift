// SPDX-License-Identifier: Apache-2.0
import CVerbs

/// The one device that the soft fabric shows: an InfiniBand adapter with one active port.
enum Device {
    static let completionVectors: Int32 = 4
    static let mtuBytes = 4096
    static let longestMessage = 1 << 31
    static let maxReads: Int32 = 16
    static let largestInline: UInt32 = 256
    /// Programs (rdma_xclient) send a few bytes inline without having asked: adapters give what is
    /// left of a request's room.
    static let leastInline: UInt32 = 32
    static let maxPieces: Int32 = 32
    static let maxRequests: Int32 = 16384
    static let maxCompletions: Int32 = 1 << 22
    static let name = "fermata0"
    static let firmware = "1.0.0"

    nonisolated(unsafe) private static var device: UnsafeMutablePointer<fermata_device>?

    /// The same pointer each time: librdmacm sorts and compares lists by it.
    static var pointer: UnsafeMutablePointer<ibv_device> {
        Engine.locked {
            if let device { return cast(device) }
            let made = allocateHandle(fermata_device.self)
            made.pointee.device.node_type = IBV_NODE_CA
            made.pointee.device.transport_type = IBV_TRANSPORT_IB
            put(name, &made.pointee.device.name)
            put("uverbs0", &made.pointee.device.dev_name)
            put("/sys/class/infiniband_verbs/uverbs0", &made.pointee.device.dev_path)
            put("/sys/class/infiniband/fermata0", &made.pointee.device.ibdev_path)
            device = made
            return cast(made)
        }
    }

    private static func cast(_ p: UnsafeMutablePointer<fermata_device>) -> UnsafeMutablePointer<
        ibv_device
    > {
        UnsafeMutableRawPointer(p).assumingMemoryBound(to: ibv_device.self)
    }

    private static func put<T>(_ text: StaticString, _ field: inout T) {
        _ = withUnsafeMutableBytes(of: &field) {
            memcpy($0.baseAddress!, text.utf8Start, min(text.utf8CodeUnitCount, $0.count - 1))
        }
    }

    private static func put<T>(_ text: String, _ field: inout T) {
        withUnsafeMutableBytes(of: &field) { field in
            for (i, byte) in text.utf8.enumerated() where i < field.count - 1 { field[i] = byte }
        }
    }

    /// GID 0 of a port: the link-local prefix and the GUID (IBTA 4.1.1). Both in network byte order.
    static func gid(_ guid: UInt64) -> ibv_gid {
        var gid = ibv_gid()
        gid.global.subnet_prefix = UInt64(0xfe80_0000_0000_0000).bigEndian
        gid.global.interface_id = guid
        return gid
    }

    // MARK: attributes

    static func attributes(_ guid: UInt64) -> ibv_device_attr {
        var a = ibv_device_attr()
        put(firmware, &a.fw_ver)
        a.node_guid = guid
        a.sys_image_guid = guid
        a.max_mr_size = UInt64.max
        a.page_size_cap = 0xffff_f000
        a.vendor_id = 0x5846
        a.vendor_part_id = 1
        a.hw_ver = 1
        a.max_qp = 65536
        a.max_qp_wr = maxRequests
        a.device_cap_flags =
            IBV_DEVICE_CURR_QP_STATE_MOD.rawValue | IBV_DEVICE_MEM_WINDOW.rawValue
            | IBV_DEVICE_MEM_WINDOW_TYPE_2B.rawValue | IBV_DEVICE_RC_RNR_NAK_GEN.rawValue
            | IBV_DEVICE_SYS_IMAGE_GUID.rawValue | IBV_DEVICE_XRC.rawValue | IBV_DEVICE_SRQ_RESIZE.rawValue
        a.max_sge = maxPieces
        a.max_sge_rd = maxPieces
        a.max_cq = 65536
        a.max_cqe = maxCompletions
        a.max_mr = Int32(FABRIC_REGIONS) - 1
        a.max_pd = 65536
        a.max_qp_rd_atom = maxReads
        a.max_qp_init_rd_atom = maxReads
        a.max_res_rd_atom = maxReads * 65536
        a.atomic_cap = IBV_ATOMIC_HCA
        a.max_mcast_grp = Int32(FABRIC_MEMBERS)
        a.max_mcast_qp_attach = 256
        a.max_total_mcast_qp_attach = Int32(FABRIC_MEMBERS)
        a.max_ah = 65536
        a.max_mw = a.max_mr
        a.max_srq = 65536
        a.max_srq_wr = maxRequests
        a.max_srq_sge = maxPieces
        a.max_pkeys = 1
        a.local_ca_ack_delay = 15
        a.phys_port_cnt = 1
        return a
    }

    static func port(_ segment: Segment) -> ibv_port_attr {
        let lid = segment.header.pointee.lid
        var p = ibv_port_attr()
        p.state = IBV_PORT_ACTIVE
        p.max_mtu = IBV_MTU_4096
        p.active_mtu = IBV_MTU_4096
        p.gid_tbl_len = 1
        p.port_cap_flags = IBV_PORT_SYS_IMAGE_GUID_SUP.rawValue
        p.max_msg_sz = UInt32(longestMessage)
        p.pkey_tbl_len = 1
        p.lid = UInt16(truncatingIfNeeded: lid)
        p.sm_lid = UInt16(truncatingIfNeeded: lid)
        p.max_vl_num = 1
        p.active_width = 2  // 4x
        p.active_speed = 32  // EDR
        p.phys_state = 5  // LinkUp
        p.link_layer = UInt8(segment.header.pointee.link_layer)
        return p
    }
}
