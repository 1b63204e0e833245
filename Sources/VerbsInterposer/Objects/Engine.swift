// SPDX-License-Identifier: Apache-2.0
import CVerbs

/// Everything that this process's verbs have in common: one lock, its place in the job's segment,
/// its objects by number. Made when the first device is opened.
///
/// Every method is called under `lock`, unless it says otherwise. Nothing that blocks is done
/// under it.
final class Engine {
    /// nil before the first device is opened, and in a forked child.
    nonisolated(unsafe) private(set) static var current: Engine?
    nonisolated(unsafe) private static var mutex = pthread_mutex_t()
    nonisolated(unsafe) private static var isPrepared = false

    let segment: Segment
    let slot: UInt32
    private(set) var regions: [MemoryRegion?] = []
    private var freeRegions: [Int] = []
    private(set) var queuePairs: [QueuePair?] = []
    private var freeQueuePairs: [Int] = []
    /// Queue pairs that owe an acknowledgement, that wait for room in a ring, that have a deadline.
    var acknowledging: [QueuePair] = []
    var stalled: [QueuePair] = []
    var timed: [QueuePair] = []
    private var writers: [RingWriter?]
    private var helper: Helper?
    /// Raised by every poll of a completion queue: the helper thread stays out of the way of
    /// threads that poll.
    var polls: UInt64 = 0
    /// Completion queues that owe somebody an event: their thread is about to sleep.
    var armedQueues = 0

    // MARK: life

    static func locked<Result>(_ body: () -> Result) -> Result {
        pthread_mutex_lock(&mutex)
        defer { pthread_mutex_unlock(&mutex) }
        return body()
    }

    /// The engine, made if there is none. Sets errno and returns nil when the job's segment cannot
    /// be had. Not under the lock.
    static func start() -> Engine? {
        locked {
            if let current { return current }
            guard let segment = segmentOfJob() else { return nil }
            guard let slot = segment.takeSlot() else {
                errorNumber = ENOMEM
                return nil
            }
            if !isPrepared {
                isPrepared = true
                pthread_atfork(
                    { pthread_mutex_lock(&Engine.mutex) }, { pthread_mutex_unlock(&Engine.mutex) },
                    {
                        // The child has neither the helper thread nor a place in the segment; what it
                        // inherits cannot be used (ibv_fork_init(3)).
                        Engine.current.map { _ = Unmanaged.passRetained($0) }
                        Engine.current = nil
                        pthread_mutex_unlock(&Engine.mutex)
                    })
            }
            fabric_admit_peers()
            let engine = Engine(segment, slot)
            current = engine
            engine.helper = Helper(engine)
            return engine
        }
    }

    /// From the supervisor whose door FERMATA_VERBS names; without one, a segment of its own: a
    /// process that can only talk to itself.
    private static func segmentOfJob() -> Segment? {
        let door = getenv("FERMATA_VERBS")
        let descriptor = door.map { fabric_knock($0) } ?? alone()
        guard descriptor >= 0 else {
            errorNumber = -descriptor
            return nil
        }
        defer { close(descriptor) }
        return Segment(mapping: descriptor)
    }

    private static func alone() -> Int32 {
        let descriptor = Int32(fabric_memfd("fermata-verbs"))
        guard descriptor >= 0 else { return -errorNumber }
        guard ftruncate(descriptor, Int(FABRIC_BYTES)) == 0 else { return -errorNumber }
        return descriptor
    }

    private init(_ segment: Segment, _ slot: UInt32) {
        self.segment = segment
        self.slot = slot
        writers = [RingWriter?](repeating: nil, count: Int(FABRIC_SLOTS))
    }

    // MARK: tables

    func add(_ region: MemoryRegion) -> UInt32? {
        if let index = freeRegions.popLast() {
            regions[index] = region
            return UInt32(index)
        }
        // 0 is never a key: programs take it for none.
        if regions.isEmpty { regions.append(nil) }
        guard regions.count < Int(FABRIC_REGIONS) else { return nil }
        regions.append(region)
        return UInt32(regions.count - 1)
    }

    func removeRegion(_ index: UInt32) {
        regions[Int(index)] = nil
        freeRegions.insert(Int(index), at: 0)
    }

    /// The region that a local or remote key opens.
    func region(_ key: UInt32) -> MemoryRegion? {
        let index = Int(key >> 8)
        guard index < regions.count, let region = regions[index], region.key == key else { return nil }
        return region
    }

    /// Gives a queue pair its number; nil when the job has too many.
    func add(_ queuePair: QueuePair) -> UInt32? {
        guard let number = segment.newQueuePair(owner: slot) else { return nil }
        let index: Int
        if let free = freeQueuePairs.popLast() {
            index = free
            queuePairs[index] = queuePair
        } else {
            index = queuePairs.count
            queuePairs.append(queuePair)
        }
        segment.queuePair(number).pointee.reserved.0 = UInt32(index)
        return number
    }

    func remove(_ queuePair: QueuePair) {
        let entry = segment.queuePair(queuePair.number)
        let index = Int(entry.pointee.reserved.0)
        queuePairs[index] = nil
        freeQueuePairs.append(index)
        fabric_store32(entry, 0)
        acknowledging.removeAll { $0 === queuePair }
        stalled.removeAll { $0 === queuePair }
        timed.removeAll { $0 === queuePair }
    }

    /// This process's queue pair of that number.
    func queuePair(_ number: UInt32) -> QueuePair? {
        guard number < UInt32(FABRIC_QUEUE_PAIRS) else { return nil }
        let entry = segment.queuePair(number)
        guard fabric_load32(entry) == slot + 1 else { return nil }
        let index = Int(entry.pointee.reserved.0)
        guard index < queuePairs.count, let found = queuePairs[index], found.number == number else {
            return nil
        }
        return found
    }

    /// The slot that owns a queue pair; nil when nobody does.
    func owner(of number: UInt32) -> UInt32? {
        guard number < UInt32(FABRIC_QUEUE_PAIRS) else { return nil }
        let owner = fabric_load32(segment.queuePair(number))
        return owner == 0 ? nil : owner - 1
    }

    func writer(to destination: UInt32) -> RingWriter? {
        if let known = writers[Int(destination)] { return known }
        let made = RingWriter(segment, from: slot, to: destination)
        writers[Int(destination)] = made
        return made
    }
}
