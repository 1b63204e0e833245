// SPDX-License-Identifier: Apache-2.0
import CVerbs

/// The memory that all processes of a job on one host share: who owns which queue pair, what may be
/// accessed in whose memory, and the rings that records travel through. It is a memfd, so a
/// checkpoint carries it like any other shared memory, and what is under way in it with it.
///
/// Any thread; what one process owns in it is guarded by that process's engine lock.
struct Segment {
    let base: UnsafeMutableRawPointer
    var header: UnsafeMutablePointer<fabric_segment> {
        base.assumingMemoryBound(to: fabric_segment.self)
    }

    /// Maps the segment that `descriptor` is; it is set up by whoever comes first. nil and errno:
    /// EPROTONOSUPPORT when another version of this library has.
    init?(mapping descriptor: Int32) {
        guard let memory = fabric_map(descriptor) else { return nil }
        base = memory
        _ = fabric_claim64(&header.pointee.magic, 0, UInt64(FABRIC_MAGIC))
        guard header.pointee.magic == UInt64(FABRIC_MAGIC) else {
            munmap(memory, Int(FABRIC_BYTES))
            errorNumber = EPROTONOSUPPORT
            return nil
        }
        nameNode()
    }

    /// The node's GUID, LID and link layer and the job's key, which stay what they are over restarts.
    /// The first byte marks a GUID that no manufacturer has given out.
    private func nameNode() {
        let isEthernetWanted = getenv("FERMATA_LINK_LAYER").map { strcmp($0, "ethernet") == 0 } ?? false
        let wanted = isEthernetWanted ? IBV_LINK_LAYER_ETHERNET : IBV_LINK_LAYER_INFINIBAND
        _ = fabric_claim32(&header.pointee.link_layer, 0, UInt32(wanted))
        if !isEthernet { _ = fabric_claim32(&header.pointee.lid, 0, 1) }
        var random: (UInt64, UInt64, UInt64) = (0, 0, 0)
        guard fabric_load64(&header.pointee.guid) == 0, getrandom(&random, 24, 0) == 24 else { return }
        _ = fabric_claim64(&header.pointee.key.0, 0, random.1 | 1)
        _ = fabric_claim64(&header.pointee.key.1, 0, random.2 | 1)
        _ = fabric_claim64(&header.pointee.guid, 0, random.0 & ~0xff | 0x02)
    }

    /// RoCE v2: no LIDs, and every address has a global route.
    var isEthernet: Bool { header.pointee.link_layer == UInt32(IBV_LINK_LAYER_ETHERNET) }

    /// What an address must have: the only port and GID there are, and on Ethernet a GID.
    func isAddress(_ attributes: ibv_ah_attr) -> Bool {
        guard attributes.port_num == 1 else { return false }
        return attributes.is_global != 0 ? attributes.grh.sgid_index == 0 : !isEthernet
    }

    // MARK: processes

    func slot(_ number: UInt32) -> UnsafeMutablePointer<fabric_slot> { fabric_slot_at(header, number) }

    /// A place for this process, where a former one has ended if there is such: each place takes room in
    /// the segment that is never given back. nil when the job has too many.
    func takeSlot() -> UInt32? {
        let me = UInt64(UInt32(bitPattern: getpid()))  // no thread until what a former one left is gone
        for number in 0..<slotsUsed {
            let owner = fabric_load64(slot(number))
            guard owner >> 32 != 0, isGone(UInt32(owner >> 32)),
                fabric_claim64(slot(number), owner, me) != 0
            else { continue }
            leave(number)
            return reset(number) ? number : nil
        }
        for number in 0..<UInt32(FABRIC_SLOTS) where fabric_claim64(slot(number), 0, me) != 0 {
            return reset(number) ? number : nil
        }
        return nil
    }

    /// Whether a thread has ended; that of a zombie has no memory any more, either.
    func isGone(_ thread: UInt32) -> Bool {
        var byte: UInt8 = 0
        return withUnsafeMutablePointer(to: &byte) { byte in
            var here = iovec(iov_base: byte, iov_len: 1)
            var nowhere = iovec(iov_base: nil, iov_len: 1)
            return fabric_read_memory(thread, &here, 1, &nowhere, 1) == -Int(ESRCH)
        }
    }

    /// False, and the slot free again, when there is no room for its regions.
    private func reset(_ number: UInt32) -> Bool {
        let slot = slot(number)
        slot.pointee.sleeping = 0
        fabric_store32(&slot.pointee.port, 0)
        _ = fabric_add64(&slot.pointee.life, 1)
        fabric_raise32(&header.pointee.slots_used, number + 1)
        for word in 0..<UInt32(FABRIC_SLOTS / 64) { fabric_store64(fabric_active_word(slot, word), 0) }
        // Rings of a former owner hold what was meant for it, and it may have ended while it wrote.
        for other in 0..<UInt32(FABRIC_SLOTS) {
            if let ring = ring(from: other, to: number) {
                fabric_store64(&ring.pointee.tail, fabric_load64(&ring.pointee.head))
            }
            if let ring = ring(from: number, to: other) { fabric_store32(&ring.pointee.placing, 0) }
        }
        if slot.pointee.regions == 0 {
            slot.pointee.regions = allocate(
                UInt64(FABRIC_REGIONS) * UInt64(MemoryLayout<fabric_region>.stride))
        }
        guard slot.pointee.regions != 0 else {
            fabric_store64(slot, 0)
            return false
        }
        for i in 0..<UInt32(slot.pointee.regions_used) { region(number, i).pointee.key = 0 }
        fabric_store32(&slot.pointee.thread, fabric_thread())
        return true
    }

    /// What a process that has ended has left behind under its slot's number.
    private func leave(_ number: UInt32) {
        releasePorts(of: number)
        for i in 0..<UInt32(FABRIC_MEMBERS) {
            let member = fabric_member_at(header, i)!
            let pair = fabric_load32(&member.pointee.queue_pair)
            guard pair != 0, pair < UInt32(FABRIC_QUEUE_PAIRS) else { continue }
            if fabric_load32(queuePair(pair)) == number + 1 { fabric_store32(&member.pointee.queue_pair, 0) }
        }
        let given = fabric_load32(&header.pointee.next_queue_pair) &+ UInt32(FABRIC_FIRST_NUMBER)
        for n in 0..<min(UInt32(FABRIC_QUEUE_PAIRS), given) {
            let entry = queuePair(n)
            if fabric_load32(entry) == number + 1 { fabric_store32(entry, 0) }
        }
    }

    /// A thread of the process that has the slot, by which its memory is reached; 0: none yet.
    func thread(of number: UInt32) -> UInt32 { fabric_load32(&slot(number).pointee.thread) }

    func isAlive(_ number: UInt32) -> Bool {
        let thread = thread(of: number)
        return thread != 0 && !isGone(thread)
    }

    /// Slots from this one on were never taken.
    var slotsUsed: UInt32 { min(fabric_load32(&header.pointee.slots_used), UInt32(FABRIC_SLOTS)) }

    /// Words of a slot's `active` that can have bits in them.
    var activeWords: UInt32 { (slotsUsed + 63) / 64 }

    // MARK: memory regions

    func region(_ slot: UInt32, _ index: UInt32) -> UnsafeMutablePointer<fabric_region> {
        (base + Int(self.slot(slot).pointee.regions)).assumingMemoryBound(to: fabric_region.self)
            + Int(index)
    }

    /// Address in the process of `slot` that a remote key of a domain opens to requests for queue pair
    /// `number`; nil when that, or the queue pair, does not allow them.
    func open(
        _ key: UInt32, of slot: UInt32, in domain: UInt32, by number: UInt32,
        _ needed: ibv_access_flags, _ address: UInt64, _ length: UInt64
    ) -> UInt64? {
        let pair = queuePair(number)
        guard key >> 8 < UInt32(FABRIC_REGIONS), pair.pointee.access & needed.rawValue != 0 else {
            return nil
        }
        let region = region(slot, key >> 8)
        guard fabric_load32(&region.pointee.key) == key, region.pointee.domain == domain,
            region.pointee.access & needed.rawValue != 0,
            region.pointee.queue_pair == 0 || region.pointee.queue_pair == number
        else { return nil }
        let offset = address &- region.pointee.base
        guard offset <= region.pointee.length, length <= region.pointee.length - offset else {
            return nil
        }
        return region.pointee.start + offset
    }

    func newDomain() -> UInt32 { fabric_add32(&header.pointee.next_domain, 1) + 1 }

    // MARK: queue pairs

    func queuePair(_ number: UInt32) -> UnsafeMutablePointer<fabric_queue_pair> {
        fabric_queue_pair_at(header, number)
    }

    /// A number that no queue pair of the job has or had lately; nil when all are taken. Numbers
    /// rise, so that a late record for a destroyed queue pair finds nobody.
    func newQueuePair(owner: UInt32) -> UInt32? {
        let first = UInt32(FABRIC_FIRST_NUMBER)
        for _ in 0..<FABRIC_QUEUE_PAIRS {
            let ticket = fabric_add32(&header.pointee.next_queue_pair, 1)
            let number = first + ticket % (UInt32(FABRIC_QUEUE_PAIRS) - first)
            if fabric_claim32(queuePair(number), 0, owner + 1) != 0 { return number }
        }
        return nil
    }

    // MARK: rings

    func ring(from source: UInt32, to destination: UInt32) -> UnsafeMutablePointer<fabric_ring>? {
        let offset = fabric_load64(fabric_incoming_word(slot(destination), source))
        return offset == 0 ? nil : (base + Int(offset)).assumingMemoryBound(to: fabric_ring.self)
    }

    /// The ring, made if it does not exist; nil when the segment is full.
    func makeRing(from source: UInt32, to destination: UInt32) -> UnsafeMutablePointer<fabric_ring>? {
        if let ring = ring(from: source, to: destination) { return ring }
        let offset = allocate(UInt64(MemoryLayout<fabric_ring>.stride) + UInt64(FABRIC_RING_BYTES))
        guard offset != 0 else { return nil }
        // Only the source makes it, under its engine lock.
        fabric_store64(fabric_incoming_word(slot(destination), source), offset)
        return ring(from: source, to: destination)
    }

    /// Offset of `bytes` zeroed bytes, never given back; 0 when there are no more.
    private func allocate(_ bytes: UInt64) -> UInt64 {
        let rounded = (bytes + 4095) & ~4095
        let first = (UInt64(MemoryLayout<fabric_segment>.stride) + 4095) & ~4095
        _ = fabric_claim64(&header.pointee.used, 0, first)
        while true {
            let offset = fabric_load64(&header.pointee.used)
            guard offset + rounded <= UInt64(FABRIC_BYTES) else { return 0 }
            if fabric_claim64(&header.pointee.used, offset, offset + rounded) != 0 { return offset }
        }
    }

    /// Wakes the helper thread of a process if it sleeps.
    func wakeHelper(of number: UInt32) {
        let slot = slot(number)
        guard fabric_load32(&slot.pointee.sleeping) != 0 else { return }
        if fabric_swap32(&slot.pointee.sleeping, 0) != 0 {
            _ = fabric_add32(&slot.pointee.doorbell, 1)
            fabric_futex_wake(&slot.pointee.doorbell)
        }
    }
}
