// SPDX-License-Identifier: Apache-2.0
import CVerbs

/// The sending end of a ring: one process's records to another, in order, none lost.
/// Under the engine lock.
struct RingWriter {
    let segment: Segment
    let source: UInt32
    let destination: UInt32
    private let ring: UnsafeMutablePointer<fabric_ring>

    static let headerBytes = MemoryLayout<fabric_record>.stride
    /// Payload that travels inside a record; larger messages are fetched by address.
    static let largestPayload = 8192

    init?(_ segment: Segment, from source: UInt32, to destination: UInt32) {
        guard let ring = segment.makeRing(from: source, to: destination) else { return nil }
        self.segment = segment
        self.source = source
        self.destination = destination
        self.ring = ring
        fabric_store32(&ring.pointee.placing, 0)  // a former process of that slot ended in the middle
    }

    /// Sends a record whose payload `fill` writes. False when there is no room: the destination
    /// rings this process's doorbell when there is some again.
    func send(
        _ record: fabric_record, payload: Int, _ fill: (UnsafeMutableRawPointer) -> Void
    ) -> Bool {
        let bytes = (Self.headerBytes + payload + 7) & ~7
        guard let place = reserve(bytes) else { return false }
        var record = record
        record.bytes = UInt32(bytes)
        record.generation = record.generationOfSource(segment)
        place.storeBytes(of: record, as: fabric_record.self)
        if payload > 0 { fill(place + Self.headerBytes) }
        fabric_store64(&ring.pointee.head, ring.pointee.head + UInt64(bytes))
        announce()
        return true
    }

    /// Contiguous room; a record never wraps around the end.
    private func reserve(_ bytes: Int) -> UnsafeMutableRawPointer? {
        let size = Int(FABRIC_RING_BYTES)
        for attempt in 0..<2 {
            let head = ring.pointee.head
            let free = size - Int(head - fabric_load64(&ring.pointee.tail))
            let position = Int(head) & (size - 1)
            let untilEnd = size - position
            let data = UnsafeMutableRawPointer(fabric_ring_data(ring)!)
            if untilEnd >= bytes {
                if free >= bytes { return data + position }
            } else if free >= untilEnd + bytes {
                data.storeBytes(of: 0, toByteOffset: position, as: UInt32.self)
                fabric_store64(&ring.pointee.head, head + UInt64(untilEnd))
                return data
            }
            if attempt == 0 { _ = fabric_swap32(&ring.pointee.starved, 1) }  // and look once more
        }
        return nil
    }

    private func announce() {
        let slot = segment.slot(destination)
        _ = fabric_or64(fabric_active_word(slot, source / 64), 1 << UInt64(source % 64))
        segment.wakeHelper(of: destination)
    }

    /// Runs `body`, which writes into the destination's memory, where the destination can see it:
    /// a region being deregistered waits for it.
    func placing<Result>(_ body: () -> Result) -> Result {
        _ = fabric_swap32(&ring.pointee.placing, 1)
        let result = body()
        fabric_store32(&ring.pointee.placing, 0)
        return result
    }
}

/// The receiving end. Under the engine lock.
struct RingReader {
    let segment: Segment
    let source: UInt32
    private let ring: UnsafeMutablePointer<fabric_ring>

    init?(_ segment: Segment, from source: UInt32, to destination: UInt32) {
        guard let ring = segment.ring(from: source, to: destination) else { return nil }
        self.segment = segment
        self.source = source
        self.ring = ring
    }

    /// Hands over up to `limit` records, each with a pointer to its payload, which is valid during
    /// the call only. True when more may be waiting.
    func drain(limit: Int, _ take: (fabric_record, UnsafeMutableRawPointer) -> Void) -> Bool {
        var tail = ring.pointee.tail
        var count = 0
        let size = UInt64(FABRIC_RING_BYTES)
        defer { wakeIfStarved() }
        while count < limit {
            let head = fabric_load64(&ring.pointee.head)
            guard head != tail else { return false }
            let position = Int(tail & (size - 1))
            let place = UnsafeMutableRawPointer(fabric_ring_data(ring)!) + position
            let bytes = place.loadUnaligned(as: UInt32.self)
            let (waiting, untilEnd) = (head &- tail, size - UInt64(position))
            // A record that does not fit is the work of a broken peer: nothing after it is trusted.
            guard waiting <= size, bytes & 7 == 0,
                bytes == 0
                    ? untilEnd <= waiting
                    : Int(bytes) >= RingWriter.headerBytes && UInt64(bytes) <= min(untilEnd, waiting)
            else {
                fabric_store64(&ring.pointee.tail, head)
                return false
            }
            if bytes == 0 {
                tail += untilEnd
            } else {
                var record = place.loadUnaligned(as: fabric_record.self)
                record.bytes = bytes  // as judged, whatever the peer makes of it meanwhile
                take(record, place + RingWriter.headerBytes)
                tail += UInt64(bytes)
                count += 1
            }
            fabric_store64(&ring.pointee.tail, tail)
        }
        return true
    }

    /// Who starves says so and then looks for room; here, the other way round.
    private func wakeIfStarved() {
        fabric_fence()
        if fabric_load32(&ring.pointee.starved) != 0, fabric_swap32(&ring.pointee.starved, 0) != 0 {
            segment.wake(source)
        }
    }

    var isPlacing: Bool { fabric_load32(&ring.pointee.placing) != 0 }
}

extension Segment {
    /// Wakes a process although no record is for it: there is room in a ring again. Its own bit
    /// is set so that its pollers look too.
    func wake(_ number: UInt32) {
        _ = fabric_or64(fabric_active_word(slot(number), number / 64), 1 << UInt64(number % 64))
        wakeHelper(of: number)
    }
}
