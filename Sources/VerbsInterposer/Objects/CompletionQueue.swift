// SPDX-License-Identifier: Apache-2.0
import CVerbs

/// One entry of a completion queue, with what it gives back when it is polled.
struct Completion {
    var entry: ibv_wc
    /// Whose send queue gets room again, up to which request. A queue pair that goes takes its
    /// entries with it, so the reference needs no count.
    var queuePair: Unmanaged<QueuePair>?
    var releases: UInt64 = 0
    var solicited = false
    var nanoseconds: Int64 = 0
}

/// ibv_create_cq, ibv_create_cq_ex. Everything under the engine lock except `acknowledge` and
/// `destroy`.
final class CompletionQueue {
    let handle: UnsafeMutablePointer<fermata_cq>
    let channel: CompletionChannel?
    private var entries: UnsafeMutablePointer<Completion>
    private var capacity: Int
    private var first = 0
    /// Also read without the lock, as a hint.
    private(set) var count = 0
    private var hasOverrun = false
    /// What it was armed for when its last event came too early: for entries that were there already.
    /// `.no` once the event was fetched, or another entry has made it due.
    private var early = Armed.no
    /// Queue pairs that use it.
    var users = 0
    private var armed: Armed = .no {
        didSet {
            guard (armed == .no) != (oldValue == .no) else { return }
            Engine.current?.armedQueues += armed == .no ? -1 : 1
        }
    }
    /// Events handed out by ibv_get_cq_event and not yet acknowledged.
    var unacknowledgedEvents = 0
    let wantsTimestamps: Bool
    /// Promised never to be overrun (IBV_CREATE_CQ_ATTR_IGNORE_OVERRUN): no event says so.
    let ignoresOverrun: Bool
    /// What a program reads between ibv_start_poll and ibv_end_poll; guarded by `handle`'s `reading`.
    var polled = Completion(entry: ibv_wc())
    /// The parent domain that it was made in, if any.
    let domain: ProtectionDomain?

    enum Armed { case no, solicited, any }

    init(
        _ context: UnsafeMutablePointer<ibv_context>, entries: Int,
        channel: CompletionChannel?, userContext: UnsafeMutableRawPointer?, timestamps: Bool = false,
        ignoresOverrun: Bool = false, domain: ProtectionDomain? = nil
    ) {
        self.channel = channel
        capacity = entries
        wantsTimestamps = timestamps
        self.ignoresOverrun = ignoresOverrun
        self.domain = domain
        self.entries = .allocate(capacity: entries)
        handle = allocateHandle(fermata_cq.self)
        pointer.pointee.context = context
        pointer.pointee.channel = channel.map {
            UnsafeMutableRawPointer($0.handle).assumingMemoryBound(to: ibv_comp_channel.self)
        }
        pointer.pointee.cq_context = userContext
        pointer.pointee.cqe = Int32(entries)
        pthread_mutex_init(&pointer.pointee.mutex, nil)
        pthread_cond_init(&pointer.pointee.cond, nil)
        pthread_mutex_init(&handle.pointee.reading, nil)
        channel?.users += 1
        domain?.users += 1
        handle.pointee.object = Unmanaged.passRetained(self).toOpaque()
    }

    static func of(_ cq: UnsafeMutablePointer<ibv_cq>) -> CompletionQueue {
        cq.withMemoryRebound(to: fermata_cq.self, capacity: 1) {
            object($0.pointee.object, CompletionQueue.self)
        }
    }

    var pointer: UnsafeMutablePointer<ibv_cq> {
        UnsafeMutableRawPointer(handle).assumingMemoryBound(to: ibv_cq.self)
    }

    /// Adds an entry. When there is no room the queue is lost, and every queue pair that uses it
    /// (IBTA 11.6.3.1).
    func add(_ completion: Completion) {
        guard count < capacity else { return overrun() }
        var completion = completion
        if wantsTimestamps { completion.nanoseconds = fabric_now() }
        entries[(first + count) % capacity] = completion
        count += 1
        early = .no
        let isError = completion.entry.status != IBV_WC_SUCCESS
        if armed == .any || armed == .solicited && (completion.solicited || isError) { fire() }
    }

    private func overrun() {
        guard !hasOverrun, !ignoresOverrun else { return }
        hasOverrun = true
        Context.of(pointer.pointee.context).raise(IBV_EVENT_CQ_ERR) { $0.element.cq = self.pointer }
        Engine.current?.queuePairs.forEach { queuePair in
            guard queuePair.uses(self), queuePair.state != IBV_QPS_RESET else { return }
            queuePair.raise(IBV_EVENT_QP_FATAL)
            queuePair.breakDown()
        }
    }

    private func fire() {
        armed = .no
        channel?.notify(self)
    }

    /// The channel has handed out its event.
    func eventFetched() {
        unacknowledgedEvents += 1
        early = .no
    }

    /// IBTA: from now on. Here, as on the hardware that programs are made for: also for entries that
    /// are there already, as some (UCX) do not look again after arming. Others (perftest) arm before
    /// they poll, and expect no event for what they have polled: see `takeBackEarlyEvent`.
    func arm(solicitedOnly: Bool) {
        if armed != .any { armed = solicitedOnly ? .solicited : .any }
        guard channel != nil else { return }
        for i in 0..<count {
            let c = entries[(first + i) % capacity]
            if armed == .any || c.solicited || c.entry.status != IBV_WC_SUCCESS {
                let wanted = armed
                fire()
                early = wanted
                return
            }
        }
    }

    /// Everything that an early event was about has been polled before the event was fetched: the
    /// queue is armed again, as if it had been empty when it was.
    private func takeBackEarlyEvent() {
        armed = early
        early = .no
        channel?.takeBack(self)
        Engine.current?.expectSleep()
    }

    func poll(_ limit: Int, _ into: UnsafeMutablePointer<ibv_wc>) -> Int32 {
        var taken = 0
        while taken < limit, let completion = next() {
            into[taken] = completion.entry
            taken += 1
        }
        return Int32(taken)
    }

    /// The oldest entry, taken out.
    func next() -> Completion? {
        guard count > 0 else { return nil }
        let completion = entries[first]
        first = (first + 1) % capacity
        count -= 1
        if completion.releases > 0, let queuePair = completion.queuePair {
            queuePair._withUnsafeGuaranteedRef { $0.released = max($0.released, completion.releases) }
        }
        if count == 0, early != .no { takeBackEarlyEvent() }
        return completion
    }

    /// Drops the entries of a queue pair that is being reset or destroyed (IBTA 10.2.4.4).
    func purge(_ queuePair: QueuePair) {
        let me = Unmanaged.passUnretained(queuePair).toOpaque()
        var kept = 0
        for i in 0..<count {
            let completion = entries[(first + i) % capacity]
            if completion.queuePair?.toOpaque() == me { continue }
            entries[(first + kept) % capacity] = completion
            kept += 1
        }
        count = kept
    }

    /// errno.
    func resize(_ wanted: Int) -> Int32 {
        guard wanted >= count else { return EINVAL }
        let larger = UnsafeMutablePointer<Completion>.allocate(capacity: wanted)
        for i in 0..<count { larger[i] = entries[(first + i) % capacity] }
        entries.deallocate()
        (entries, capacity, first) = (larger, wanted, 0)
        pointer.pointee.cqe = Int32(wanted)
        return 0
    }

    /// ibv_ack_cq_events. Not under the engine lock.
    func acknowledge(_ events: UInt32) {
        pthread_mutex_lock(&pointer.pointee.mutex)
        pointer.pointee.comp_events_completed &+= events
        pthread_cond_signal(&pointer.pointee.cond)
        pthread_mutex_unlock(&pointer.pointee.mutex)
    }

    /// errno. Waits until every event handed out has been acknowledged (ibv_destroy_cq(3)).
    func destroy() -> Int32 {
        let refused = Engine.locked { () -> Bool in
            guard users == 0 else { return true }
            // A forked child counts on its parent's descriptor.
            if Engine.current != nil { channel?.forget(self) }
            armed = .no
            return false
        }
        guard !refused else { return failure(EBUSY) }
        let context = Context.of(pointer.pointee.context)
        let asynchronous = context.forget(pointer)
        pthread_mutex_lock(&pointer.pointee.mutex)
        while pointer.pointee.comp_events_completed != UInt32(truncatingIfNeeded: unacknowledgedEvents)
            || Int(pointer.pointee.async_events_completed) != asynchronous
        {
            pthread_cond_wait(&pointer.pointee.cond, &pointer.pointee.mutex)
        }
        pthread_mutex_unlock(&pointer.pointee.mutex)
        Engine.locked {
            channel?.users -= 1
            domain?.users -= 1
        }
        entries.deallocate()
        free(handle)
        release(self)
        return 0
    }
}
