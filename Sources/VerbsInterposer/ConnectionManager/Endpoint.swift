// SPDX-License-Identifier: Apache-2.0
import CVerbs

/// An IP address and a port. IPv4 addresses are mapped (RFC 4291, 2.5.5.2), so that one form does.
struct Endpoint {
    var address = in6_addr()
    var isIPv4 = true
    /// Host byte order.
    var port: UInt16 = 0

    init() {}

    /// From struct sockaddr_in or sockaddr_in6 in the room of the latter; nil for other families.
    init?(_ raw: sockaddr_in6) {
        port = UInt16(bigEndian: raw.sin6_port)  // both have it in the same place
        switch Int32(raw.sin6_family) {
        case AF_INET:
            setIPv4(withUnsafeBytes(of: raw) { $0.loadUnaligned(fromByteOffset: 4, as: UInt32.self) })
        case AF_INET6: (address, isIPv4) = (raw.sin6_addr, false)
        default: return nil
        }
    }

    /// Network byte order.
    mutating func setIPv4(_ ipv4: UInt32) {
        withUnsafeMutableBytes(of: &address) {
            ($0[10], $0[11]) = (0xff, 0xff)
            $0.storeBytes(of: ipv4, toByteOffset: 12, as: UInt32.self)
        }
    }

    /// In the form that the application's family has.
    var raw: sockaddr_in6 {
        var result = sockaddr_in6()
        result.sin6_port = port.bigEndian
        result.sin6_family = sa_family_t(isIPv4 ? AF_INET : AF_INET6)
        if isIPv4 {
            let ipv4 = self.ipv4
            withUnsafeMutableBytes(of: &result) {
                $0.storeBytes(of: ipv4, toByteOffset: 4, as: UInt32.self)
            }
        } else {
            result.sin6_addr = address
        }
        return result
    }

    /// Network byte order.
    var ipv4: UInt32 {
        withUnsafeBytes(of: address) { $0.loadUnaligned(fromByteOffset: 12, as: UInt32.self) }
    }

    var isAny: Bool { Segment.isAny(address) }

    static func same(_ a: in6_addr, _ b: in6_addr) -> Bool {
        withUnsafeBytes(of: a) { a in
            withUnsafeBytes(of: b) { memcmp(a.baseAddress!, $0.baseAddress!, 16) == 0 }
        }
    }

    /// Whether this host has it: bind(2) tells, with a port of UDP that is of no consequence.
    var isHere: Bool {
        let probe = socket(family, Int32(SOCK_DGRAM.rawValue) | 0o2000000, 0)
        guard probe >= 0 else { return false }
        defer { close(probe) }
        var any = self
        any.port = 0
        return any.give(probe, to: bind) == 0
    }

    /// 127.0.0.1 or ::1.
    mutating func setLoopback() {
        let isIPv4 = isIPv4
        withUnsafeMutableBytes(of: &address) {
            for i in 0..<16 { $0[i] = 0 }
            if isIPv4 {
                ($0[10], $0[11], $0[12]) = (0xff, 0xff, 127)
            }
            $0[15] = 1
        }
    }

    /// The multicast GID that an IP group has (RFC 4391, 4; with the connection manager's signature
    /// in place of IPoIB's, as cma_set_mgid in the kernel).
    var multicastGID: ibv_gid {
        var gid = ibv_gid()
        withUnsafeBytes(of: address) { ip in
            withUnsafeMutableBytes(of: &gid) { gid in
                gid[0] = 0xff
                gid[1] = 0x12
                gid[2] = isIPv4 ? 0x40 : 0x60
                gid[3] = 0x01
                (gid[4], gid[5]) = (0xff, 0xff)
                for i in (isIPv4 ? 12 : 6)..<16 { gid[i] = ip[i] }
                if isIPv4 { gid[12] &= 0x0f }
            }
        }
        return gid
    }
}
