// SPDX-License-Identifier: Apache-2.0
import CVerbs

/// What Linux shows of our device: the node that UCX wants to be able to open, and the attributes in
/// sysfs that programs read beside the interface. What depends on the job, such as the GUID, is found
/// out when such a file is opened, since that takes the job's segment.
enum DeviceFiles {
    private static var node: String { "/dev/infiniband/uverbs0" }
    private static var device: String { "/sys/class/infiniband/fermata0" }
    private static var port: String { "/sys/class/infiniband/fermata0/ports/1" }
    private static var verbs: String { "/sys/class/infiniband_verbs" }

    /// The number of uverbs0 in Linux.
    private static var number: (major: UInt32, minor: UInt32) { (231, 192) }

    static func tree() -> FileTree {
        var tree = FileTree()
        // There is no driver behind it: it can be looked at, not opened.
        tree.add(device: node, major: number.major, minor: number.minor)
        ConnectionDevice.add(to: &tree)
        addDevice(to: &tree)
        addPort(to: &tree)
        tree.add(file: verbs + "/abi_version", "6\n")
        tree.add(file: verbs + "/uverbs0/abi_version", "1\n")
        tree.add(file: verbs + "/uverbs0/ibdev", Device.name + "\n")
        tree.add(file: verbs + "/uverbs0/dev", "231:192\n")
        return tree
    }

    private static func addDevice(to tree: inout FileTree) {
        tree.add(file: device + "/node_type", "1: CA\n")
        tree.add(file: device + "/node_desc", Device.name + "\n")
        tree.add(file: device + "/fw_ver", Device.firmware + "\n")
        tree.add(file: device + "/hw_rev", "1\n")
        tree.add(file: device + "/hca_type", "fermata\n")
        tree.add(file: device + "/board_id", "fermata\n")
        // The interface whose addresses belong to the device (rdma_cm): every host's own way to itself.
        tree.add(file: device + "/device/net/lo/operstate", "unknown\n")
        tree.add(file: device + "/node_guid", computed: { groups(guid(), 8) + "\n" })
        tree.add(file: device + "/sys_image_guid", computed: { groups(guid(), 8) + "\n" })
    }

    private static func addPort(to tree: inout FileTree) {
        tree.add(file: port + "/state", "4: ACTIVE\n")
        tree.add(file: port + "/phys_state", "5: LinkUp\n")
        tree.add(file: port + "/rate", "100 Gb/sec (4X EDR)\n")
        tree.add(file: port + "/link_layer", computed: { isEthernet() ? "Ethernet\n" : "InfiniBand\n" })
        tree.add(file: port + "/lid_mask_count", "0\n")
        tree.add(file: port + "/sm_sl", "0\n")
        tree.add(file: port + "/lid", computed: { "0x" + hexadecimal(lid()) + "\n" })
        tree.add(file: port + "/sm_lid", computed: { "0x" + hexadecimal(lid()) + "\n" })
        tree.add(
            file: port + "/cap_mask",
            computed: { "0x" + hexadecimal(capabilities(), digits: 8) + "\n" })
        tree.add(file: port + "/pkeys/0", "0xffff\n")
        tree.add(file: port + "/gids/0", computed: { groups(Device.gid(guid()), 16) + "\n" })
        tree.add(
            file: port + "/gid_attrs/types/0",
            computed: { isEthernet() ? "RoCE v2\n" : "IB/RoCE v1\n" })
        tree.add(file: port + "/gid_attrs/ndevs/0", computed: { isEthernet() ? "lo\n" : "" })
    }

    private static func isEthernet() -> Bool { Engine.start()?.segment.isEthernet ?? false }

    private static func capabilities() -> UInt32 {
        Engine.start().map { Device.port($0.segment).port_cap_flags } ?? 0
    }

    private static func guid() -> UInt64 { Engine.start()?.segment.header.pointee.guid ?? 0 }

    private static func lid() -> UInt32 { Engine.start()?.segment.header.pointee.lid ?? 0 }

    // MARK: text

    /// Bytes as sysfs writes a GUID or a GID: by twos, a colon between.
    private static func groups<T>(_ value: T, _ count: Int) -> String {
        withUnsafeBytes(of: value) { bytes in
            var text = ""
            for i in 0..<count {
                if i > 0, i % 2 == 0 { text += ":" }
                text += hexadecimal(UInt32(bytes[i]), digits: 2)
            }
            return text
        }
    }

    private static func hexadecimal(_ value: UInt32, digits: Int = 1) -> String {
        let text = String(value, radix: 16)
        return String(repeating: "0", count: max(0, digits - text.utf8.count)) + text
    }
}
