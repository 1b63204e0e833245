// SPDX-License-Identifier: Apache-2.0
import CVerbs

/// The node that this process is on, which whoever starts processes on several tells them:
/// FERMATA_NODE, a number and the address by which the node is reached, as in 2@10.0.0.2. Without a
/// variable it is 0, without an address only processes of this host reach it.
struct Node {
    private(set) var number: UInt32 = 0
    private(set) var address: Endpoint

    /// nil: FERMATA_NODE says something else.
    static let ofThisProcess = Node()

    private init?() {
        address = Endpoint()
        address.setLoopback()
        guard let text = getenv("FERMATA_NODE") else { return }
        var end: UnsafeMutablePointer<CChar>?
        let wanted = strtoul(text, &end, 10)
        guard let end, end != text, wanted < UInt(UInt32.max) else { return nil }
        number = UInt32(wanted)
        guard end.pointee != 0 else { return }
        guard end.pointee == CChar(bitPattern: UInt8(ascii: "@")), let given = Endpoint(text: end + 1) else {
            return nil
        }
        address = given
    }

    /// Whether others can reach this process where they are told that it is.
    var isHere: Bool { getenv("FERMATA_NODE") == nil || address.isHere }
}

extension Segment {
    /// Makes a process's node and its address known. Processes that did not know of another node must
    /// look: they have to listen from now on.
    func join(_ node: Node, _ number: UInt32) {
        slot(number).pointee.node = node.number
        slot(number).pointee.address = node.address.address
        _ = fabric_claim32(&header.pointee.first_node, 0, node.number + 1)
        guard header.pointee.first_node != node.number + 1 else { return }
        guard fabric_swap32(&header.pointee.spans_nodes, 1) == 0 else { return }
        for other in 0..<UInt32(FABRIC_SLOTS) where thread(of: other) != 0 { wake(other) }
    }

    /// Whether a process of the job is on a node of that address.
    func hasNode(at address: Endpoint) -> Bool {
        (0..<slotsUsed).contains {
            Endpoint.same(slot($0).pointee.address, address.address) && isAlive($0)
        }
    }

    /// Which of the processes that have had a slot has it.
    func life(of number: UInt32) -> UInt64 { fabric_load64(&slot(number).pointee.life) }

    var spansNodes: Bool { fabric_load32(&header.pointee.spans_nodes) != 0 }

    /// The proof for one side of a link: what was exchanged, under the job's key.
    func proof(_ role: UInt64, _ a: (UInt64, UInt64), _ b: (UInt64, UInt64), _ claim: fabric_claim)
        -> UInt64
    {
        var hash = SipHash(key: header.pointee.key)
        for word in [role, a.0, a.1, b.0, b.1, claim.slot, claim.life] { hash.add(word) }
        return hash.finish()
    }
}

extension Endpoint {
    /// "10.0.0.2" or "fe80::1"; nil: neither.
    init?(text: UnsafePointer<CChar>) {
        self.init()
        var ipv4: UInt32 = 0
        if inet_pton(AF_INET, text, &ipv4) == 1 {
            setIPv4(ipv4)
        } else {
            isIPv4 = false
            guard inet_pton(AF_INET6, text, &address) == 1 else { return nil }
        }
    }

    /// `port` in host byte order.
    init(_ address: in6_addr, port: UInt16) {
        self.init()
        (self.address, self.port) = (address, port)
        isIPv4 = isMapped
    }

    /// Bytes of the form that `raw` has.
    private var rawBytes: socklen_t {
        socklen_t(isIPv4 ? MemoryLayout<sockaddr_in>.size : MemoryLayout<sockaddr_in6>.size)
    }

    var family: Int32 { isIPv4 ? AF_INET : AF_INET6 }

    /// What bind(2) or connect(2) returns.
    func give(_ socket: Int32, to call: (Int32, UnsafePointer<sockaddr>?, socklen_t) -> Int32) -> Int32 {
        var raw = self.raw
        let bytes = rawBytes
        return withUnsafePointer(to: &raw) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { call(socket, $0, bytes) }
        }
    }

    /// The port that the kernel has given to a bound socket; 0: none.
    static func port(of socket: Int32) -> UInt16 {
        var raw = sockaddr_in6()
        var bytes = socklen_t(MemoryLayout<sockaddr_in6>.size)
        let code = withUnsafeMutablePointer(to: &raw) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(socket, $0, &bytes) }
        }
        return code == 0 ? UInt16(bigEndian: raw.sin6_port) : 0
    }
}
