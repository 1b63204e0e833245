// SPDX-License-Identifier: Apache-2.0
import CVerbs

/// The sending end of a TCP connection to a process of another node: records in order, none lost
/// unless the connection breaks. Each direction has a connection of its own, as it has a ring within a
/// node, so that nobody has to decide who makes it. Under the engine lock.
final class OutgoingLink {
    enum Stage {
        /// The destination does not listen yet.
        case seeking
        case connecting, awaitsHello, awaitsWelcome
        case open
        case broken
    }

    let destination: UInt32
    /// Of the destination's slot, when the link was made: which process it leads to.
    let life: UInt64
    private let engine: Engine
    private(set) var stage = Stage.seeking
    private(set) var descriptor: Int32 = -1
    private var claim = fabric_claim()
    /// What the kernel had no room for, and small records that travel together.
    private var waiting: Waiting
    /// The kernel has no room. It says when there is a good deal again: whoever tried all the time would
    /// send in crumbs.
    private var awaitsRoom = false
    /// In the list of those that have something to send.
    var isMarked = false
    private(set) var endedAt: Int64 = 0
    /// A request is among what waits, so that it should not wait longer than for its batch.
    private(set) var isUrgent = false

    /// Payload of a record. Longer messages are several.
    static let largestPayload = 512 << 10
    private static let room = 64 << 10

    init(_ engine: Engine, to destination: UInt32) {
        self.engine = engine
        self.destination = destination
        life = engine.segment.life(of: destination)
        waiting = Waiting(capacity: Self.room)
    }

    // MARK: connecting

    /// Once the destination listens; asked again while it does not.
    func seek(_ links: Links) {
        guard stage == .seeking else { return }
        let segment = engine.segment
        guard segment.isAlive(destination), segment.life(of: destination) == life else {
            return fail()
        }
        let theirs = segment.slot(destination)
        let port = fabric_load32(&theirs.pointee.port)
        guard port != 0 else { return segment.wake(destination) }
        let place = Endpoint(theirs.pointee.address, port: UInt16(truncatingIfNeeded: port))
        descriptor = fabric_stream_socket(place.family)
        guard descriptor >= 0 else { return fail() }
        fabric_no_delay(descriptor)
        fabric_receive_least(descriptor, Int32(MemoryLayout<fabric_hello>.size))
        stage = .connecting
        guard place.give(descriptor, to: connect) == 0 || errorNumber == EINPROGRESS,
            links.watch(self, forRoom: true)
        else { return fail() }
    }

    /// Something happened to the connection.
    func proceed(_ links: Links, _ events: UInt32) {
        switch stage {
        case .connecting:
            guard fabric_socket_error(descriptor) == 0 else { return fail() }
            guard events & EPOLLOUT.rawValue != 0 else { return }
            stage = .awaitsHello
            guard links.watch(self, forRoom: false) else { return fail() }
        case .awaitsHello:
            var hello = fabric_hello()
            guard receive(&hello) else { return }
            guard hello.magic == FABRIC_LINK_MAGIC else { return fail() }
            answer(hello)
        case .awaitsWelcome:
            var welcome = fabric_welcome()
            guard receive(&welcome) else { return }
            guard welcome.proof == expected else { return fail() }
            stage = .open
            flush(links)
        case .open:
            if events & (EPOLLHUP.rawValue | EPOLLERR.rawValue | EPOLLIN.rawValue) != 0 { return fail() }
            if awaitsRoom, events & EPOLLOUT.rawValue != 0 { continueSending(links) }
        case .seeking, .broken: break
        }
    }

    private var expected: UInt64 = 0

    private func answer(_ hello: fabric_hello) {
        claim.magic = UInt64(FABRIC_LINK_MAGIC)
        guard getrandom(&claim.nonce, 16, 0) == 16 else { return fail() }
        claim.slot = UInt64(engine.slot)
        claim.life = engine.segment.life(of: engine.slot)
        claim.proof = engine.segment.proof(1, hello.nonce, claim.nonce, claim)
        expected = engine.segment.proof(2, hello.nonce, claim.nonce, claim)
        let size = MemoryLayout<fabric_claim>.size
        let sent = withUnsafeMutableBytes(of: &claim) { bytes in
            var list = iovec(iov_base: bytes.baseAddress!, iov_len: size)
            return fabric_send(descriptor, &list, 1)
        }
        // It is the first that the connection carries: there is room.
        guard sent == size else { return fail() }
        stage = .awaitsWelcome
        fabric_receive_least(descriptor, Int32(MemoryLayout<fabric_welcome>.size))
    }

    /// False: it is not here yet, or the connection has broken. The kernel hands out all of it or, at the
    /// end of a connection, less.
    private func receive<T>(_ value: inout T) -> Bool {
        let size = MemoryLayout<T>.size
        let n = withUnsafeMutableBytes(of: &value) { recv(descriptor, $0.baseAddress!, size, 0) }
        if n < 0, errorNumber == EAGAIN { return false }
        if n != size { fail() }
        return n == size
    }

    // MARK: sending

    /// False when there is no room, or no connection yet.
    func send(_ record: fabric_record, payload: Int, _ fill: (UnsafeMutableRawPointer) -> Void) -> Bool {
        let bytes = (Writer.headerBytes + payload + 7) & ~7
        guard stage == .open, let place = waiting.reserve(bytes) else { return false }
        put(record, bytes, at: place)
        if payload > 0 { fill(place + Writer.headerBytes) }
        return true
    }

    /// What has to arrive whatever room there is: it is little.
    func sendSurely(_ record: fabric_record) {
        guard stage != .broken else { return }
        put(record, Writer.headerBytes, at: waiting.reserveSurely(Writer.headerBytes))
    }

    private func put(_ record: fabric_record, _ bytes: Int, at place: UnsafeMutableRawPointer) {
        var record = record
        record.bytes = UInt32(bytes)
        place.storeBytes(of: record, as: fabric_record.self)
        if record.kind != UInt8(FABRIC_ACK.rawValue) { isUrgent = true }
        engine.links?.mark(self)
    }

    /// `count` bytes of a message from `offset` on. A large piece goes to the kernel straight from
    /// where it lies.
    func send(_ record: fabric_record, _ pieces: Pieces, at offset: UInt64, count: Int) -> Bool {
        guard stage == .open, let links = engine.links else { return false }
        if count <= RingWriter.largestPayload || pieces.count > Self.mostPieces {
            return send(record, payload: count) { pieces.copy(to: $0, from: offset, count: count) }
        }
        if !waiting.isEmpty { flush(links) }
        guard stage == .open, waiting.isEmpty, !awaitsRoom else { return false }
        let bytes = (Writer.headerBytes + count + 7) & ~7
        var record = record
        record.bytes = UInt32(bytes)
        var (padding, n) = (UInt64(0), 0)
        withUnsafeMutablePointer(to: &record) { record in
            withUnsafeMutablePointer(to: &padding) { padding in
                let list = links.list
                list[0] = iovec(iov_base: record, iov_len: Writer.headerBytes)
                var used = 1 + pieces.describe(list + 1, from: offset, count: count)
                if bytes > Writer.headerBytes + count {
                    list[used] = iovec(iov_base: padding, iov_len: bytes - Writer.headerBytes - count)
                    used += 1
                }
                n = fabric_send(descriptor, list, UInt(used))
                if n > 0 { waiting.append(list, used, after: n) }
            }
        }
        if n < 0, n != -Int(EAGAIN) {
            fail()
            return false
        }
        if n < bytes { awaitRoom(links) }
        return n > 0
    }

    static let mostPieces = 60

    /// Gives the kernel what waits.
    func flush(_ links: Links) {
        guard stage == .open, !awaitsRoom else { return }
        while !waiting.isEmpty {
            var list = waiting.contents
            let n = fabric_send(descriptor, &list, 1)
            if n == -Int(EAGAIN) { return awaitRoom(links) }
            guard n > 0 else { return fail() }
            waiting.drop(n)
        }
        isUrgent = false
    }

    /// False when some of what waits found no room.
    func sendLast(_ links: Links) -> Bool {
        awaitsRoom = false
        flush(links)
        return stage != .open || waiting.isEmpty
    }

    private func continueSending(_ links: Links) {
        awaitsRoom = false
        flush(links)
        if !awaitsRoom, stage == .open, !links.watch(self, forRoom: false) { fail() }
    }

    private func awaitRoom(_ links: Links) {
        awaitsRoom = true
        if !links.watch(self, forRoom: true) { fail() }
    }

    // MARK: the end

    private func fail() {
        guard stage != .broken else { return }
        end()
        engine.lost(destination, life)
    }

    /// Closes it; nobody is told.
    func end() {
        if descriptor >= 0 { engine.links?.close(descriptor) }
        (descriptor, stage, endedAt) = (-1, .broken, fabric_now())
        waiting.free()
    }
}

/// Bytes on their way into a socket, in order.
private struct Waiting {
    private var start: UnsafeMutableRawPointer
    private var capacity: Int
    private var first = 0
    private var end = 0

    init(capacity: Int) {
        start = .allocate(byteCount: capacity, alignment: 8)
        self.capacity = capacity
    }

    var isEmpty: Bool { first == end }
    var contents: iovec { iovec(iov_base: start + first, iov_len: end - first) }

    /// nil when there is no room.
    mutating func reserve(_ bytes: Int) -> UnsafeMutableRawPointer? {
        guard end - first + bytes <= capacity else { return nil }
        if end + bytes > capacity { pack() }
        defer { end += bytes }
        return start + end
    }

    mutating func reserveSurely(_ bytes: Int) -> UnsafeMutableRawPointer {
        if let place = reserve(bytes) { return place }
        let larger = UnsafeMutableRawPointer.allocate(byteCount: capacity * 2, alignment: 8)
        pack()
        memcpy(larger, start, end)
        start.deallocate()
        (start, capacity) = (larger, capacity * 2)
        return reserveSurely(bytes)
    }

    private mutating func pack() {
        memmove(start, start + first, end - first)
        (first, end) = (0, end - first)
    }

    mutating func drop(_ bytes: Int) {
        first += bytes
        if first == end { (first, end) = (0, 0) }
    }

    /// What of a list was not sent.
    mutating func append(_ list: UnsafeMutablePointer<iovec>, _ count: Int, after sent: Int) {
        var skip = sent
        for i in 0..<count {
            let length = list[i].iov_len
            if skip < length {
                memcpy(reserveSurely(length - skip), list[i].iov_base + skip, length - skip)
            }
            skip = max(0, skip - length)
        }
    }

    mutating func free() {
        start.deallocate()
        (start, capacity) = (.allocate(byteCount: 8, alignment: 8), 0)
        (first, end) = (0, 0)
    }
}
