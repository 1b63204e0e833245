// SPDX-License-Identifier: Apache-2.0
import CVerbs

/// Ports of the connection manager, in the job's segment: who is bound to which, and who listens. Each
/// node has its own.
extension Segment {
    enum Binding {
        case bound(entry: UInt32, port: UInt16)
        case failed(Int32)
    }

    /// Port 0: any that is free. EADDRINUSE as bind(2) would say it.
    func bindPort(
        _ wanted: UInt16, _ address: in6_addr, space: UInt16, shares: Bool, owner: UInt32, id: UInt32
    ) -> Binding {
        lockNames()
        defer { unlockNames() }
        guard let port = wanted != 0 ? wanted : freePort(space) else { return .failed(EADDRINUSE) }
        var free: UInt32?
        for i in 0..<UInt32(FABRIC_PORTS) {
            let entry = fabric_port_at(header, i)!
            if entry.pointee.owner != 0, !isAlive(entry.pointee.owner - 1) { entry.pointee.owner = 0 }
            if entry.pointee.owner == 0 {
                free = free ?? i
                continue
            }
            guard entry.pointee.space == space, entry.pointee.port == port,
                Self.overlap(entry.pointee.address, address), isNeighbour(entry.pointee.owner - 1, owner)
            else { continue }
            let shared = shares && entry.pointee.shares != 0 && entry.pointee.listens == 0
            if !shared { return .failed(EADDRINUSE) }
        }
        guard let free else { return .failed(EADDRNOTAVAIL) }
        var entry = fabric_port()
        (entry.owner, entry.id, entry.space, entry.port) = (owner + 1, id, space, port)
        entry.shares = shares ? 1 : 0
        entry.address = address
        fabric_port_at(header, free)!.pointee = entry
        return .bound(entry: free, port: port)
    }

    /// From the range that Linux uses for such (ip_local_port_range).
    private func freePort(_ space: UInt16) -> UInt16? {
        var random: UInt16 = 0
        _ = getrandom(&random, 2, 0)
        for step in 0..<UInt32(28232) {
            let port = UInt16(32768 + (UInt32(random) + step) % 28232)
            var isFree = true
            for i in 0..<UInt32(FABRIC_PORTS) where isFree {
                let entry = fabric_port_at(header, i)!.pointee
                isFree = entry.owner == 0 || entry.port != port || entry.space != space
            }
            if isFree { return port }
        }
        return nil
    }

    /// errno: EADDRINUSE while somebody else listens there.
    func listen(_ number: UInt32) -> Int32 {
        lockNames()
        defer { unlockNames() }
        let mine = fabric_port_at(header, number)!
        for i in 0..<UInt32(FABRIC_PORTS) where i != number {
            let entry = fabric_port_at(header, i)!.pointee
            if entry.owner != 0, entry.listens != 0, entry.port == mine.pointee.port,
                entry.space == mine.pointee.space, Self.overlap(entry.address, mine.pointee.address),
                isNeighbour(entry.owner - 1, mine.pointee.owner - 1), isAlive(entry.owner - 1)
            {
                return EADDRINUSE
            }
        }
        mine.pointee.listens = 1
        return 0
    }

    func releasePort(_ number: UInt32) {
        lockNames()
        fabric_port_at(header, number)!.pointee.owner = 0
        unlockNames()
    }

    /// Those of a process that has ended.
    func releasePorts(of slot: UInt32) {
        lockNames()
        for i in 0..<UInt32(FABRIC_PORTS) {
            let entry = fabric_port_at(header, i)!
            if entry.pointee.owner == slot + 1 { entry.pointee.owner = 0 }
        }
        unlockNames()
    }

    /// On the same node.
    private func isNeighbour(_ one: UInt32, _ other: UInt32) -> Bool {
        slot(one).pointee.node == slot(other).pointee.node
    }

    /// Who listens at an address, for the process of slot `asking`; the one bound to it before one
    /// bound to all. Who is bound to all has the addresses of its own node.
    func listener(_ port: UInt16, _ address: in6_addr, space: UInt16, asking: UInt32)
        -> ConnectionIdentifier.Peer?
    {
        lockNames()
        defer { unlockNames() }
        var found: ConnectionIdentifier.Peer?
        for i in 0..<UInt32(FABRIC_PORTS) {
            let entry = fabric_port_at(header, i)!.pointee
            guard entry.owner != 0, entry.listens != 0, entry.port == port, entry.space == space,
                Self.overlap(entry.address, address),
                isNeighbour(entry.owner - 1, asking)
                    || Endpoint.same(slot(entry.owner - 1).pointee.address, address),
                isAlive(entry.owner - 1)
            else { continue }
            let owner = entry.owner - 1
            let peer = ConnectionIdentifier.Peer(slot: owner, life: life(of: owner), id: entry.id)
            if !Self.isAny(entry.address) { return peer }
            found = peer
        }
        return found
    }

    private static func overlap(_ a: in6_addr, _ b: in6_addr) -> Bool {
        isAny(a) || isAny(b) || Endpoint.same(a, b)
    }

    static func isAny(_ address: in6_addr) -> Bool {
        withUnsafeBytes(of: address) { bytes in
            // ::, and 0.0.0.0 mapped
            let mapped = bytes[10] == 0xff && bytes[11] == 0xff
            for i in 0..<16 where bytes[i] != 0 && !(mapped && (i == 10 || i == 11)) { return false }
            return true
        }
    }
}
