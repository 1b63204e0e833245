// SPDX-License-Identifier: Apache-2.0
import CVerbs

extension Engine {
    /// Takes in what has arrived and sends what waits. Returns true when there was anything.
    @discardableResult
    func progress() -> Bool {
        if segment.spansNodes { listenForLinks() }
        var worked = links?.progress() ?? false
        let mine = segment.slot(slot)
        for word in 0..<segment.activeWords {
            let active = fabric_active_word(mine, word)
            guard fabric_load64(active!) != 0 else { continue }
            var bits = fabric_take64(active)
            while bits != 0 {
                let bit = UInt32(bits.trailingZeroBitCount)
                bits &= bits - 1
                worked = true
                receive(from: word * 64 + bit)
            }
        }
        if !acknowledging.isEmpty { acknowledge() }
        if !stalled.isEmpty { resume() }
        if connections.hasWork { connections.proceed(self) }
        // Only the helper thread, and every 256th poll, look at the clock.
        if !timed.isEmpty, polls & 255 == 0 { checkDeadlines() }
        links?.flush(urgentOnly: true)
        return worked
    }

    private func receive(from source: UInt32) {
        guard let reader = RingReader(segment, from: source, to: slot) else { return }
        let more = reader.drain(limit: 256) { record, payload in
            if UInt32(record.kind) == FABRIC_CONNECTION.rawValue {
                return receive(record, payload, connectionFrom: source)
            }
            guard record.isOfThisLife(segment), let queuePair = receiver(of: record) else { return }
            queuePair.receive(record, payload, from: source)
        }
        if more { segment.wakeLater(self.slot, from: source) }
    }

    func acknowledge() {
        let waiting = acknowledging
        acknowledging = []
        for queuePair in waiting where !queuePair.sendAcknowledgement() {
            acknowledging.append(queuePair)
        }
    }

    /// Acknowledgements, above all: their requests have been carried out. False when there is no room.
    func sendLast() -> Bool {
        acknowledge()
        return (links?.sendLast() ?? true) && acknowledging.isEmpty
    }

    private func resume() {
        let waiting = stalled
        stalled = []
        for queuePair in waiting {
            queuePair.isStalled = false
            queuePair.transmit()
        }
    }

    func checkDeadlines() {
        let now = fabric_now()
        let due = timed
        timed = []
        for queuePair in due {
            queuePair.isTimed = queuePair.checkDeadline(now)
            if queuePair.isTimed { timed.append(queuePair) }
        }
    }

    /// A thread that is about to sleep relies on the helper, which may be in one of its pauses:
    /// senders ring from now on, and what is already there is taken in.
    func expectSleep() {
        (pollsSeen, vainPolls) = (polls, 0)
        ringFromNowOn()
        progress()
        links?.flush(urgentOnly: false)
    }

    /// Something has arrived over a link while everybody slept, unless the application polls again.
    func arrived() {
        guard fabric_load32(&segment.slot(slot).pointee.sleeping) != 0 else { return }
        guard vainPolls <= Self.spinning else { return leaveWork() }
        while progress() {}
        links?.flush(urgentOnly: false)
        // Deadlines and what else has to be looked at again are the helper's, which may doze.
        if hasTimers, dozes { leaveWork() }
        links?.watch()
    }

    /// Senders wake the helper.
    fileprivate func ringFromNowOn() {
        _ = fabric_swap32(&segment.slot(slot).pointee.sleeping, 1)
        links?.watch()
    }

    /// Something has to be looked at again although no record may come.
    var hasTimers: Bool {
        !timed.isEmpty || !acknowledging.isEmpty || connections.hasWork || links?.hasWork ?? false
    }
}

extension Segment {
    /// Marks a ring again that was left with records in it.
    func wakeLater(_ number: UInt32, from source: UInt32) {
        _ = fabric_or64(fabric_active_word(slot(number), source / 64), 1 << UInt64(source % 64))
    }
}

/// A thread of the library's own, which takes no signals.
@discardableResult
func startThread(
    _ argument: UnsafeMutableRawPointer,
    _ body: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer?
) -> Bool {
    var (all, old) = (sigset_t(), sigset_t())
    sigfillset(&all)
    pthread_sigmask(SIG_SETMASK, &all, &old)
    var thread = pthread_t()
    let code = pthread_create(&thread, nil, body, argument)
    pthread_sigmask(SIG_SETMASK, &old, nil)
    return code == 0
}

/// The thread that makes progress while the application does not poll: for receivers that wait in
/// ibv_get_cq_event or compute. It sleeps on a futex; while the application polls it only looks in
/// now and then, and takes nothing from it.
final class Helper {
    private let engine: Engine
    /// Of this host. Counted again now and then: a job may wake up on another.
    private var processors = 1
    private var looks = 0

    init(_ engine: Engine) {
        self.engine = engine
        let isStarted = startThread(Unmanaged.passRetained(self).toOpaque()) { argument in
            Unmanaged<Helper>.fromOpaque(argument!).takeUnretainedValue().run()
            return nil
        }
        // Others see by it that the process lives. This thread, by which they see it until then, may end.
        while isStarted, engine.segment.thread(of: engine.slot) == fabric_thread() { sched_yield() }
    }

    private func run() {
        let slot = engine.segment.slot(engine.slot)
        fabric_store32(&slot.pointee.thread, fabric_thread())
        while Engine.current === engine {
            if looks & 255 == 0 { processors = max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }
            looks &+= 1
            let rung = fabric_load32(&slot.pointee.doorbell)
            let (isPolled, pause) = Engine.locked { () -> (Bool, Int64) in
                let isPolled = engine.isPolled
                (engine.pollsSeen, engine.vainPolls) = (engine.polls, 0)
                if !engine.timed.isEmpty { engine.checkDeadlines() }
                if !isPolled {
                    while engine.progress() {}
                    // Whoever sends from now on rings; what came before is found by the next look.
                    engine.ringFromNowOn()
                }
                if engine.connections.connected > 0 { engine.checkConnections() }
                engine.dozes = !isPolled && !engine.hasTimers
                return (isPolled, engine.dozes ? engine.doze : tick)
            }
            if !isPolled, engine.segment.hasRecords(for: engine.slot) { continue }
            _ = fabric_futex_wait(&slot.pointee.doorbell, rung, pause)
        }
    }

    /// Nanoseconds between looks while something has to be looked at: a millisecond as long as every
    /// process has a processor. Where they share processors, the helpers of a host together look in 500
    /// times a second per processor: a thousand wake-ups in one session, beside threads that spin, make
    /// Linux 6.18 run no other session, nor ksoftirqd, for seconds (sched(7), "The autogroup feature").
    private var tick: Int64 {
        let share = (Int(engine.segment.slotsUsed) + processors - 1) / processors
        return 1_000_000 * (share > 1 ? Int64(min(2 * share, 100)) : 1)
    }
}

extension Engine {
    /// Whether the application makes progress itself. One that waits for events polls too, until it
    /// finds nothing; one that spins, with a queue armed that it does not wait for, finds nothing many
    /// times. (UCX arms its queues once and then spins.)
    fileprivate var isPolled: Bool {
        armedQueues == 0 ? polls != pollsSeen : vainPolls > Self.spinning
    }

    /// How long the helper may sleep when there is nothing to look at, in nanoseconds; -1: until the
    /// doorbell rings. What is posted meanwhile does not wake it: the answer does, unless the peer has
    /// died, which nobody rings for.
    fileprivate var doze: Int64 { connections.connected > 0 || hasNumbered ? Self.peerCheck : -1 }

    /// Polls that found nothing, after which a thread is taken to spin.
    fileprivate static var spinning: Int { 16 }
    private static var peerCheck: Int64 { 500_000_000 }

    /// Twice a second: whether the processes at the other ends of rdma_cm connections live.
    fileprivate func checkConnections() {
        let now = fabric_now()
        guard now >= connectionsCheckedAt + Self.peerCheck else { return }
        connectionsCheckedAt = now
        connections.checkPeers(self)
    }
}

extension Segment {
    func hasRecords(for number: UInt32) -> Bool {
        let slot = slot(number)
        for word in 0..<activeWords
        where fabric_load64(fabric_active_word(slot, word)) != 0 { return true }
        return false
    }
}
