// SPDX-License-Identifier: Apache-2.0
import CVerbs

/// The connection ids of this process by number, and messages that found no room in a ring. Under
/// the engine lock.
final class ConnectionTable {
    private var ids: [ConnectionIdentifier?] = []
    private var memberships: [Membership?] = []
    private var unsent: [(slot: UInt32, record: fabric_record, message: fabric_connection)] = []
    /// Ids that nobody listens for yet.
    private var seeking: [ConnectionIdentifier] = []
    /// Ids whose other end is in another process, which may die.
    var connected = 0

    func add(_ id: ConnectionIdentifier) -> UInt32 {
        if let free = ids.firstIndex(where: { $0 == nil }) {
            ids[free] = id
            return UInt32(free)
        }
        ids.append(id)
        return UInt32(ids.count - 1)
    }

    func remove(_ number: UInt32) { ids[Int(number)] = nil }

    subscript(number: UInt32) -> ConnectionIdentifier? {
        number < UInt32(ids.count) ? ids[Int(number)] : nil
    }

    // MARK: multicast memberships, which have numbers of their own

    func addMembership(_ make: (UInt32) -> Membership) -> Membership {
        let free = memberships.firstIndex { $0 == nil } ?? memberships.count
        let made = make(UInt32(free))
        if free < memberships.count { memberships[free] = made } else { memberships.append(made) }
        return made
    }

    func removeMembership(_ number: UInt32) { memberships[Int(number)] = nil }

    func membership(_ number: UInt32) -> Membership? {
        number < UInt32(memberships.count) ? memberships[Int(number)] : nil
    }

    func destroyAll(on channel: EventChannel) {
        for number in ids.indices {  // a listener takes with it ids that nobody has heard of yet
            if let id = ids[number], id.channel === channel { id.destroy() }
        }
    }

    // MARK: messages

    /// In order, whatever room there is; from the id of that number and cookie.
    func send(
        _ engine: Engine, _ message: fabric_connection, to peer: ConnectionIdentifier.Peer,
        from number: UInt32, _ cookie: UInt64
    ) {
        var record = fabric_record()
        record.kind = UInt8(FABRIC_CONNECTION.rawValue)
        (record.destination, record.source) = (peer.id, number)
        (record.sequence, record.operands.0) = (peer.cookie, cookie)
        record.length = UInt64(MemoryLayout<fabric_connection>.size)
        if unsent.isEmpty, Self.put(engine, peer.slot, record, message) { return }
        unsent.append((peer.slot, record, message))
        engine.leaveWork()
    }

    /// What waited for room, and for listeners.
    func proceed(_ engine: Engine) {
        if !seeking.isEmpty { seekOn() }
        while let next = unsent.first, Self.put(engine, next.slot, next.record, next.message) {
            unsent.removeFirst()
        }
    }

    var hasWork: Bool { !unsent.isEmpty || !seeking.isEmpty }

    // MARK: listeners

    func seek(_ id: ConnectionIdentifier, _ engine: Engine) {
        if id.findListener(0) { return }
        seeking.append(id)
        engine.leaveWork()
    }

    func seekOn() {
        let now = fabric_now()
        let waiting = seeking
        seeking = []
        for id in waiting where !id.findListener(now) { seeking.append(id) }
    }

    private static func put(
        _ engine: Engine, _ slot: UInt32, _ record: fabric_record, _ message: fabric_connection
    ) -> Bool {
        // The writer first: where a link has broken it makes another.
        guard engine.segment.isAlive(slot), let writer = engine.writer(to: slot), engine.isAlive(slot)
        else { return true }
        defer { engine.links?.flush(urgentOnly: true) }
        return writer.send(record, payload: MemoryLayout<fabric_connection>.size) {
            $0.storeBytes(of: message, as: fabric_connection.self)
        }
    }

    /// A peer that died cannot say goodbye.
    func checkPeers(_ engine: Engine) {
        for id in ids {
            guard let id, let peer = id.peer else { continue }
            let isSame = engine.segment.life(of: peer.slot) == peer.life
            if !isSame || !engine.isAlive(peer.slot) { id.lostPeer() }
        }
    }
}

extension Engine {
    func receive(_ record: fabric_record, _ payload: UnsafeRawPointer, connectionFrom source: UInt32) {
        let size = MemoryLayout<fabric_connection>.size
        guard Int(record.bytes) >= RingWriter.headerBytes + size else { return }
        let message = payload.loadUnaligned(as: fabric_connection.self)
        let sender = ConnectionIdentifier.Peer(
            slot: source, life: segment.life(of: source), id: record.source, cookie: record.operands.0)
        guard let id = connections[record.destination] else {
            return answer(message, from: sender, toNobody: record.destination)
        }
        id.receive(message, from: sender, to: record.sequence)
    }

    /// A message for an id that is gone, or does not listen (any more): who waits for an answer gets one.
    func answer(
        _ message: fabric_connection, from sender: ConnectionIdentifier.Peer, toNobody number: UInt32
    ) {
        var answer = fabric_connection()
        switch fabric_message(message.message) {
        // "Invalid service ID", "invalid communication ID" (IBTA 12.6.7.2); "service ID not supported".
        case FABRIC_REQ: (answer.message, answer.status) = (FABRIC_REJ.rawValue, 8)
        case FABRIC_REP: (answer.message, answer.status) = (FABRIC_REJ.rawValue, 6)
        case FABRIC_SIDR_REQ: (answer.message, answer.status) = (FABRIC_SIDR_REP.rawValue, 1)
        case FABRIC_DREQ: answer.message = FABRIC_DREP.rawValue
        default: return
        }
        connections.send(self, answer, to: sender, from: number, 0)
    }
}
