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
        for id in ids {
            if let id, id.channel === channel { id.destroy() }
        }
    }

    // MARK: messages

    /// In order, whatever room there is.
    func send(
        _ engine: Engine, to slot: UInt32, _ record: fabric_record, _ message: fabric_connection
    ) {
        if unsent.isEmpty, Self.put(engine, slot, record, message) { return }
        unsent.append((slot, record, message))
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
        guard engine.isAlive(slot), let writer = engine.writer(to: slot) else { return true }
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
        guard let id = connections[record.destination] else { return }
        let sender = ConnectionIdentifier.Peer(
            slot: source, life: segment.life(of: source), id: record.source, cookie: record.operands.0)
        id.receive(message, from: sender, to: record.sequence)
    }
}
