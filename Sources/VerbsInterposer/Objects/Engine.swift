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
    /// What keys open, by their upper three bytes.
    private var keyed: [Keyed] = []
    private var freeKeyed: [Int] = []
    private var numbered: [Numbered] = []
    private var freeNumbered: [Int] = []
    /// The open handles of XRC targets.
    private var targets: [QueuePair] = []
    /// Queue pairs that owe an acknowledgement, that wait for room in a ring, that have a deadline.
    var acknowledging: [QueuePair] = []
    var stalled: [QueuePair] = []
    var timed: [QueuePair] = []
    let connections = ConnectionTable()
    var connectionsCheckedAt: Int64 = 0
    private var writers: [RingWriter?]
    /// nil while all processes of the job are on one node.
    private(set) var links: Links?
    private var helper: Helper?
    /// The helper sleeps for longer than a tick.
    var dozes = false
    /// Raised by every poll of a completion queue: the helper thread stays out of the way of
    /// threads that poll.
    var polls: UInt64 = 0
    /// How many there were when the helper last looked or a thread was about to sleep.
    var pollsSeen: UInt64 = 0
    /// Of those since then, the ones that found nothing.
    var vainPolls = 0
    /// The last to hold the lock looked for work and found none.
    fileprivate var rests = false
    /// Completion queues that owe somebody an event: their thread is about to sleep.
    var armedQueues = 0

    // MARK: life

    static func locked<Result>(_ body: () -> Result) -> Result {
        pthread_mutex_lock(&mutex)
        current?.rests = false
        defer { pthread_mutex_unlock(&mutex) }
        return body()
    }

    /// The engine, made if there is none. Sets errno and returns nil when the job's segment cannot
    /// be had. Not under the lock.
    static func start() -> Engine? {
        locked {
            if let current { return current }
            guard let node = Node.ofThisProcess else {
                errorNumber = EINVAL
                return nil
            }
            guard node.isHere else {
                errorNumber = EADDRNOTAVAIL
                return nil
            }
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
                        Engine.current?.leaveLinks()
                        Engine.current.map { _ = Unmanaged.passRetained($0) }
                        Engine.current = nil
                        pthread_mutex_unlock(&Engine.mutex)
                    })
                atexit { Engine.sendLast() }
            }
            segment.join(node, slot)
            fabric_admit_peers()
            let engine = Engine(segment, slot)
            current = engine
            engine.helper = Helper(engine)
            return engine
        }
    }

    /// At exit(3): what this process has said, but not given to the kernel yet. Not for long, and not if
    /// whoever has the lock never gives it back: a signal's handler may have called exit.
    private static func sendLast() {
        let end = fabric_now() + 200_000_000
        repeat {
            if pthread_mutex_trylock(&mutex) == 0 {
                let isDone = current?.sendLast() ?? true
                pthread_mutex_unlock(&mutex)
                if isDone { return }
            }
            usleep(500)
        } while fabric_now() < end
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

    /// False in a forked child, which has a copy of the objects and no part in the segment.
    var isCurrent: Bool { Engine.current === self }

    // MARK: tables

    enum Keyed {
        case nothing
        case region(MemoryRegion)
        case window(MemoryWindow)
    }

    /// The index of a new key; nil: too many.
    func add(_ owner: Keyed) -> UInt32? {
        if let index = freeKeyed.popLast() {
            keyed[index] = owner
            return UInt32(index)
        }
        // 0 is never a key: programs take it for none.
        if keyed.isEmpty { keyed.append(.nothing) }
        guard keyed.count < Int(FABRIC_REGIONS) else { return nil }
        keyed.append(owner)
        return UInt32(keyed.count - 1)
    }

    func removeKeyed(_ index: UInt32) {
        keyed[Int(index)] = .nothing
        freeKeyed.insert(Int(index), at: 0)
    }

    /// The region that a local key opens.
    func region(_ key: UInt32) -> MemoryRegion? {
        let index = Int(key >> 8)
        guard index < keyed.count, case .region(let region) = keyed[index], region.key == key else {
            return nil
        }
        return region
    }

    /// The window that a remote key opens, bound or not.
    func window(_ key: UInt32) -> MemoryWindow? {
        let index = Int(key >> 8)
        guard index < keyed.count, case .window(let window) = keyed[index], window.key == key else {
            return nil
        }
        return window
    }

    /// Lets peers, and this process's own responder, see what a key opens. The key goes in last: it
    /// is what makes an entry valid.
    func export(
        _ index: UInt32, key: UInt32, start: UInt64, length: UInt64, base: UInt64, access: UInt32,
        domain: ProtectionDomain, queuePair: UInt32 = 0
    ) {
        guard isCurrent else { return }
        let mine = segment.slot(slot)
        mine.pointee.regions_used = max(mine.pointee.regions_used, UInt64(index) + 1)
        let entry = segment.region(slot, index)
        fabric_store32(&entry.pointee.key, 0)
        (entry.pointee.start, entry.pointee.length, entry.pointee.base) = (start, length, base)
        (entry.pointee.access, entry.pointee.domain) = (access, domain.number)
        entry.pointee.queue_pair = queuePair
        fabric_store32(&entry.pointee.key, key)
    }

    /// Takes the entry back and waits for peers that are writing by it this very moment.
    func withdraw(_ index: UInt32) {
        guard isCurrent else { return }
        fabric_store32(&segment.region(slot, index).pointee.key, 0)
        waitForPeers()
    }

    /// Until no peer writes any more by what this process has shown it before.
    func waitForPeers() {
        fabric_fence()
        for source in 0..<UInt32(FABRIC_SLOTS) {
            guard let reader = RingReader(segment, from: source, to: slot) else { continue }
            while reader.isPlacing, segment.isAlive(source) { sched_yield() }
        }
    }

    enum Numbered {
        case nothing
        case pair(QueuePair)
        case shared(SharedReceiveQueue)
    }

    /// Gives a queue pair or an XRC shared receive queue its number; nil when the job has too many.
    func number(_ owner: Numbered, kind: fabric_numbered) -> UInt32? {
        guard let number = segment.newQueuePair(owner: slot) else { return nil }
        let index: Int
        if let free = freeNumbered.popLast() {
            index = free
            numbered[index] = owner
        } else {
            index = numbered.count
            numbered.append(owner)
        }
        let entry = segment.queuePair(number)
        (entry.pointee.users, entry.pointee.xrc_domain, entry.pointee.type) = (0, 0, 0)
        (entry.pointee.posted, entry.pointee.finished, entry.pointee.executed) = (0, 0, 0)
        entry.pointee.kind = kind.rawValue
        entry.pointee.generation &+= 1
        entry.pointee.index = UInt32(index)
        // It sleeps without a limit while there is nobody whose peer could die.
        if numbered.count - freeNumbered.count == 1 { segment.wakeHelper(of: slot) }
        return number
    }

    func removeNumbered(_ number: UInt32) {
        guard isCurrent else { return }
        let entry = segment.queuePair(number)
        let index = Int(entry.pointee.index)
        numbered[index] = .nothing
        freeNumbered.append(index)
        fabric_store32(entry, 0)
    }

    // MARK: XRC targets

    /// A handle of an XRC target, which may be another process's.
    func openTarget(_ target: QueuePair) {
        targets.append(target)
        _ = fabric_add32(&segment.queuePair(target.number).pointee.users, 1)
        showTarget(target.number)
    }

    func closeTarget(_ target: QueuePair) {
        targets.removeAll { $0 === target }
        let entry = segment.queuePair(target.number)
        if fabric_add32(&entry.pointee.users, .max) != 1 {
            showTarget(target.number)
        } else if fabric_load32(entry) == slot + 1 {
            removeNumbered(target.number)
        } else {
            fabric_store32(entry, 0)
        }
    }

    /// A target of this process is one of the handles that are open here.
    private func showTarget(_ number: UInt32) {
        let entry = segment.queuePair(number)
        guard fabric_load32(entry) == slot + 1 else { return }
        let open = targets.first { $0.number == number }
        numbered[Int(entry.pointee.index)] = open.map { .pair($0) } ?? .nothing
    }

    /// Takes a queue pair off the lists of those with something to do.
    func forget(_ queuePair: QueuePair) {
        acknowledging.removeAll { $0 === queuePair }
        stalled.removeAll { $0 === queuePair }
        timed.removeAll { $0 === queuePair }
    }

    /// What has that number in this process.
    private func numbered(_ number: UInt32) -> Numbered {
        guard number < UInt32(FABRIC_QUEUE_PAIRS) else { return .nothing }
        let entry = segment.queuePair(number)
        let index = Int(entry.pointee.index)
        guard fabric_load32(entry) == slot + 1, index < numbered.count else { return .nothing }
        return numbered[index]
    }

    /// There are queue pairs, or shared receive queues with numbers.
    var hasNumbered: Bool { numbered.count > freeNumbered.count }

    /// The queue pairs that applications know.
    var queuePairs: [QueuePair] {
        numbered.compactMap { if case .pair(let queuePair) = $0 { queuePair } else { nil } }
    }

    /// This process's queue pair of that number.
    func queuePair(_ number: UInt32) -> QueuePair? {
        guard case .pair(let found) = numbered(number), found.number == number else { return nil }
        return found
    }

    /// Whom a record for that number is for: a shared receive queue has a responder for its source.
    func receiver(of record: fabric_record) -> QueuePair? {
        switch numbered(record.destination) {
        case .pair(let found): found.number == record.destination ? found : nil
        case .shared(let queue): queue.responder(for: record.source)
        case .nothing: nil
        }
    }

    /// The slot that owns a queue pair; nil when nobody does.
    func owner(of number: UInt32) -> UInt32? {
        guard number < UInt32(FABRIC_QUEUE_PAIRS) else { return nil }
        let owner = fabric_load32(segment.queuePair(number))
        return owner == 0 ? nil : owner - 1
    }

    /// nil when there is no memory for a ring, or no descriptor for links.
    func writer(to destination: UInt32) -> Writer? {
        guard isCurrent else { return nil }
        if isLinked(destination) {
            listenForLinks()  // the first to send may not have looked for progress yet
            return links.map { .link($0.link(to: destination)) }
        }
        if let known = writers[Int(destination)] { return .ring(known) }
        let made = RingWriter(segment, from: slot, to: destination)
        writers[Int(destination)] = made
        return made.map { .ring($0) }
    }

    // MARK: rest

    /// Work was left that nobody rings for: the helper looks after it, which may be asleep without a limit.
    func leaveWork() { segment.wakeHelper(of: slot) }

    /// To be called when there was no progress: whether there can be any before the lock is taken
    /// again, but for records that come.
    func rest() {
        rests = acknowledging.isEmpty && stalled.isEmpty && timed.isEmpty && !connections.hasWork
    }

    /// Nothing to be done here and nothing has come. Without the lock: may be outdated by the time
    /// it is read, as every vain poll is.
    var isAtRest: Bool { rests && !segment.spansNodes && !segment.hasRecords(for: slot) }

    // MARK: other nodes

    /// A process of another node has no memory and no rings in common with this one.
    func isLinked(_ other: UInt32) -> Bool {
        segment.spansNodes && segment.slot(other).pointee.node != segment.slot(slot).pointee.node
    }

    /// Whether anything sent to a process may still arrive.
    func isAlive(_ other: UInt32) -> Bool {
        if isLinked(other), let links, links.isBroken(to: other) { return false }
        return segment.isAlive(other)
    }

    /// Links, as soon as the job has a second node.
    func listenForLinks() {
        guard links == nil, isCurrent, let node = Node.ofThisProcess else { return }
        links = Links(self, node)
    }

    /// In a forked child: its parent's peers must notice when the parent ends.
    private func leaveLinks() {
        links?.closeAll()
        links = nil
    }

    /// The connection to a process has broken, or it has ended: what was under way is lost.
    func lost(_ other: UInt32, _ life: UInt64) {
        links?.end(with: other, life)
        guard segment.life(of: other) == life else { return }  // a new process has the slot already
        for queuePair in queuePairs { queuePair.lostLink(to: other) }
    }
}
