// SPDX-License-Identifier: Apache-2.0
import CVerbs

/// No VLAN, as the interface writes it.
private let noVLAN: UInt16 = 0xffff

/// The Ethernet address that a GID itself tells: multicast by its prefix, a link-local one by the
/// interface identifier made from the address. Other GIDs need a neighbour table, which is the
/// host's and has no entry for a virtual port: EHOSTUNREACH. Only drivers ask, for real ports.
@c(fermata_ibv_resolve_eth_l2_from_gid)
public func resolveEthernetAddress(
    _ context: UnsafeMutablePointer<ibv_context>?, _ attributes: UnsafeMutablePointer<ibv_ah_attr>,
    _ address: UnsafeMutablePointer<UInt8>, _ vlan: UnsafeMutablePointer<UInt16>?
) -> Int32 {
    withUnsafeBytes(of: &attributes.pointee.grh.dgid) { gid in
        if gid[0] == 0xff {
            address[0] = 0x33
            address[1] = 0x33
            for i in 2..<6 { address[i] = gid[10 + i] }
        } else if isMappedMulticast(gid) {
            address[0] = 0x01
            address[1] = 0x00
            address[2] = 0x5e
            address[3] = gid[13] & 0x7f
            address[4] = gid[14]
            address[5] = gid[15]
        } else if gid[0] == 0xfe, gid[1] & 0xc0 == 0x80, gid[11] == 0xff, gid[12] == 0xfe {
            address[0] = gid[8] ^ 0x02 // the universal/local bit is kept inverted
            address[1] = gid[9]
            address[2] = gid[10]
            for i in 3..<6 { address[i] = gid[10 + i] }
        } else {
            return failure(EHOSTUNREACH)
        }
        vlan?.pointee = noVLAN
        return 0
    }
}

/// ::ffff:224.0.0.0/4, an IPv4 multicast group as a GID.
private func isMappedMulticast(_ gid: UnsafeRawBufferPointer) -> Bool {
    for i in 0..<10 where gid[i] != 0 { return false }
    return gid[10] == 0xff && gid[11] == 0xff && gid[12] & 0xf0 == 0xe0
}
