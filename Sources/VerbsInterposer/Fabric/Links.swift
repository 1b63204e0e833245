// SPDX-License-Identifier: Apache-2.0
import CVerbs

/// The connections of this process to processes of other nodes, and the socket that it accepts them
/// on. Made when the job has a second node. Under the engine lock.
final class Links {
    private unowned(unsafe) let engine: Engine
    private let epoll: Int32
    private let listener: Int32
    private var outgoing: [OutgoingLink?]
    private var incoming: [IncomingLink?] = []
    /// Indices of connections that have not proved yet whose they are, oldest first.
    private var strangers: [Int] = []
    private var seeking: [OutgoingLink] = []
    private var marked: [OutgoingLink] = []
    /// When to accept again after descriptors had run out, or with too many strangers; 0: now.
    private var acceptsAgainAt: Int64 = 0
    private let ready: UnsafeMutablePointer<fabric_ready>
    /// For one call of sendmsg(2).
    let list: UnsafeMutablePointer<iovec>
    private let watcher: Watcher

    private static let listenerTag: UInt64 = 1 << 32
    private static let outgoingTag: UInt64 = 2 << 32
    private static let incomingTag: UInt64 = 3 << 32
    private static let mostStrangers = 64
    /// That a stranger has for its proof before it makes room for another, in nanoseconds.
    private static let proofTime: Int64 = 2_000_000_000
    /// Before a broken link is made again, in nanoseconds.
    private static let pause: Int64 = 1_000_000_000

    /// nil when descriptors have run out, or the address of the node is not here any more.
    init?(_ engine: Engine, _ node: Node) {
        self.engine = engine
        epoll = epoll_create1(Int32(EPOLL_CLOEXEC))
        listener = fabric_stream_socket(node.address.family)
        outgoing = [OutgoingLink?](repeating: nil, count: Int(FABRIC_SLOTS))
        ready = .allocate(capacity: Int(FABRIC_READY))
        list = .allocate(capacity: OutgoingLink.mostPieces + 4)
        watcher = Watcher(engine, epoll)
        guard epoll >= 0, listener >= 0, node.address.give(listener, to: bind) == 0,
            CVerbs.listen(listener, 1024) == 0,
            fabric_epoll_set(epoll, EPOLL_CTL_ADD, listener, EPOLLIN.rawValue, Self.listenerTag) == 0
        else {
            if epoll >= 0 { _ = CVerbs.close(epoll) }
            if listener >= 0 { _ = CVerbs.close(listener) }
            return nil
        }
        fabric_store32(
            &engine.segment.slot(engine.slot).pointee.port, UInt32(Endpoint.port(of: listener)))
        watcher.start()
    }

    deinit {
        ready.deallocate()
        list.deallocate()
    }

    /// Of a connection. Not without taking it off the epoll instance first: the watcher, which may be
    /// looking at it at this moment, would keep the file until it wakes the next time (ep_item_poll in
    /// the kernel's fs/eventpoll.c holds it, and a last fput waits for the return to user mode).
    func close(_ descriptor: Int32) {
        _ = fabric_epoll_set(epoll, EPOLL_CTL_DEL, descriptor, 0, 0)
        _ = CVerbs.close(descriptor)
    }

    /// In a forked child, which must not keep its parent's connections open.
    func closeAll() {
        _ = CVerbs.close(epoll)
        _ = CVerbs.close(listener)
        for link in outgoing { if let link, link.descriptor >= 0 { _ = CVerbs.close(link.descriptor) } }
        for link in incoming { if let link { _ = CVerbs.close(link.descriptor) } }
    }

    // MARK: progress

    /// True when anything has happened.
    func progress() -> Bool {
        flush(urgentOnly: false)
        if !seeking.isEmpty { seek() }
        if acceptsAgainAt != 0 { resumeAccepting() }
        let n = fabric_epoll_wait(epoll, ready, 0)
        guard n > 0 else { return false }
        for i in 0..<Int(n) {
            let (tag, events) = (ready[i].tag, ready[i].events)
            let number = Int(tag & 0xffff_ffff)
            switch tag & ~0xffff_ffff {
            case Self.listenerTag: acceptAll()
            case Self.outgoingTag: outgoing[number]?.proceed(self, events)
            default: if let link = incoming[number], !link.take() { end(link) }
            }
        }
        return true
    }

    /// Something has to be looked at again although no socket may become ready.
    var hasWork: Bool { !seeking.isEmpty || !marked.isEmpty || acceptsAgainAt != 0 }

    /// The link has something to send.
    func mark(_ link: OutgoingLink) {
        guard !link.isMarked else { return }
        link.isMarked = true
        marked.append(link)
    }

    /// Acknowledgements alone travel with the next request, or at the next look: whoever answers a
    /// message has one segment to send then, not two.
    func flush(urgentOnly: Bool) {
        guard !marked.isEmpty else { return }
        let links = marked
        marked = []
        for link in links {
            if urgentOnly, !link.isUrgent {
                marked.append(link)
            } else {
                link.isMarked = false
                link.flush(self)
            }
        }
    }

    /// False when some of what waits found no room.
    func sendLast() -> Bool {
        var isAll = true
        for link in outgoing { if let link, !link.sendLast(self) { isAll = false } }
        return isAll
    }

    private func seek() {
        let links = seeking
        seeking = []
        for link in links {
            link.seek(self)
            if link.stage == .seeking { seeking.append(link) }
        }
    }

    /// Wakes the helper when something arrives from now on.
    func watch() { watcher.watch() }

    // MARK: outgoing

    /// The link to a process, made if there is none. A new one if another process has the slot since,
    /// and in place of a broken one for those who connect again.
    func link(to destination: UInt32) -> OutgoingLink {
        let life = engine.segment.life(of: destination)
        if let known = outgoing[Int(destination)] {
            let isFresh = known.stage != .broken || fabric_now() < known.endedAt + Self.pause
            if known.life == life, isFresh { return known }
            if known.stage != .broken { engine.lost(destination, known.life) }
        }
        let made = OutgoingLink(engine, to: destination)
        outgoing[Int(destination)] = made
        made.seek(self)
        if made.stage == .seeking {
            seeking.append(made)
            engine.leaveWork()  // the destination rings no bell when it listens
        }
        return made
    }

    /// Its process has ended or cannot be reached.
    func isBroken(to destination: UInt32) -> Bool {
        guard let link = outgoing[Int(destination)] else { return false }
        return link.stage == .broken
    }

    /// errno says why not.
    func watch(_ link: OutgoingLink, forRoom: Bool) -> Bool {
        let events = EPOLLIN.rawValue | (forRoom ? EPOLLOUT.rawValue : 0)
        let tag = Self.outgoingTag | UInt64(link.destination)
        return fabric_epoll_set(epoll, EPOLL_CTL_MOD, link.descriptor, events, tag) == 0
            || fabric_epoll_set(epoll, EPOLL_CTL_ADD, link.descriptor, events, tag) == 0
    }

    // MARK: incoming

    private func acceptAll() {
        while hasRoomForStranger() {
            let descriptor = fabric_accept(listener)
            if descriptor == -EAGAIN || descriptor == -EINTR || descriptor == -ECONNABORTED { return }
            guard descriptor >= 0 else { return pauseAccepting(100_000_000) }
            add(descriptor)
        }
        pauseAccepting(10_000_000)
    }

    /// Who comes waits in the backlog while there are as many as there may be, and all of them new: the
    /// job's own may come in hundreds. Who has said nothing for long makes room.
    private func hasRoomForStranger() -> Bool {
        strangers.removeAll { incoming[$0]?.source != nil }
        guard strangers.count >= Self.mostStrangers, let oldest = incoming[strangers[0]] else { return true }
        guard fabric_now() > oldest.since + Self.proofTime else { return false }
        end(oldest)
        return true
    }

    /// For so many nanoseconds, in which the listener would be ready all the time.
    private func pauseAccepting(_ time: Int64) {
        _ = fabric_epoll_set(epoll, EPOLL_CTL_DEL, listener, 0, 0)
        acceptsAgainAt = fabric_now() + time
    }

    private func resumeAccepting() {
        guard fabric_now() >= acceptsAgainAt else { return }
        acceptsAgainAt = 0
        _ = fabric_epoll_set(epoll, EPOLL_CTL_ADD, listener, EPOLLIN.rawValue, Self.listenerTag)
    }

    private func add(_ descriptor: Int32) {
        let index = incoming.firstIndex { $0 == nil } ?? incoming.count
        let tag = Self.incomingTag | UInt64(index)
        guard let link = IncomingLink(engine, descriptor, index: index),
            fabric_epoll_set(epoll, EPOLL_CTL_ADD, descriptor, EPOLLIN.rawValue, tag) == 0
        else {
            self.close(descriptor)
            return
        }
        fabric_no_delay(descriptor)
        if index < incoming.count { incoming[index] = link } else { incoming.append(link) }
        strangers.append(index)
    }

    private func end(_ link: IncomingLink) {
        guard incoming[link.index] === link else { return }
        incoming[link.index] = nil
        link.end()
        strangers.removeAll { $0 == link.index }
        if let source = link.source { engine.lost(source.slot, source.life) }
    }

    /// A process is gone, or its connection: what is left of both directions.
    func end(with slot: UInt32, _ life: UInt64) {
        if let link = outgoing[Int(slot)], link.life == life, link.stage != .broken { link.end() }
        for link in incoming {
            if let link, let source = link.source, source.slot == slot, source.life == life {
                end(link)
            }
        }
    }
}

/// The thread that waits for the sockets while the helper and the application sleep. It takes in what
/// arrives itself: waking the helper for it would cost another change of threads.
private final class Watcher {
    private unowned(unsafe) let engine: Engine
    private let epoll: Int32
    /// Futex: 1 while somebody wants to be woken.
    private let isWanted: UnsafeMutablePointer<UInt32>

    init(_ engine: Engine, _ epoll: Int32) {
        (self.engine, self.epoll) = (engine, epoll)
        isWanted = .allocate(capacity: 1)
        isWanted.initialize(to: 0)
    }

    deinit { isWanted.deallocate() }

    func start() {
        startThread(Unmanaged.passRetained(self).toOpaque()) { argument in
            Unmanaged<Watcher>.fromOpaque(argument!).takeUnretainedValue().run()
            return nil
        }
    }

    func watch() {
        if fabric_swap32(isWanted, 1) == 0 { fabric_futex_wake(isWanted) }
    }

    private func run() {
        let ready = UnsafeMutablePointer<fabric_ready>.allocate(capacity: Int(FABRIC_READY))
        while Engine.current === engine {
            if fabric_load32(isWanted) == 0 {
                _ = fabric_futex_wait(isWanted, 0, -1)
                continue
            }
            guard fabric_epoll_wait(epoll, ready, -1) > 0 else { continue }
            fabric_store32(isWanted, 0)
            Engine.locked { if Engine.current === engine { engine.arrived() } }
        }
    }
}
