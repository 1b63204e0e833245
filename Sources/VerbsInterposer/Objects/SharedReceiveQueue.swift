// SPDX-License-Identifier: Apache-2.0
import CVerbs

/// ibv_create_srq: receive requests that several queue pairs share. Under the engine lock.
final class SharedReceiveQueue {
    let handle: UnsafeMutablePointer<fermata_srq>
    let domain: ProtectionDomain
    let engine: Engine
    /// XRC only: what is received completes here, and what requests name. 0: none.
    let xrc: XRCDomain?
    let completions: CompletionQueue?
    private(set) var number: UInt32 = 0
    var responders: [QueuePair] = []
    var queue: ReceiveQueue
    /// Queue pairs that use it.
    var users = 0
    /// IBV_EVENT_SRQ_LIMIT_REACHED when fewer are left; once (ibv_modify_srq(3)). 0: off.
    var limit = 0
    /// Queue pairs whose requests wait for a receive.
    private var hungry: [QueuePair] = []

    /// nil when the job has too many with a number.
    init?(
        _ engine: Engine, _ domain: ProtectionDomain, depth: Int, pieces: Int,
        userContext: UnsafeMutableRawPointer?, xrc: (domain: XRCDomain, completions: CompletionQueue)?
    ) {
        self.engine = engine
        self.domain = domain
        (self.xrc, completions) = (xrc?.domain, xrc?.completions)
        queue = ReceiveQueue(depth: depth, pieces: pieces)
        domain.users += 1
        handle = allocateHandle(fermata_srq.self)
        handle.pointee.srq.context = domain.handle.pointee.pd.context
        handle.pointee.srq.srq_context = userContext
        handle.pointee.srq.pd = UnsafeMutableRawPointer(domain.handle).assumingMemoryBound(
            to: ibv_pd.self)
        pthread_mutex_init(&handle.pointee.srq.mutex, nil)
        pthread_cond_init(&handle.pointee.srq.cond, nil)
        if let xrc {
            guard let number = engine.number(.shared(self), kind: FABRIC_SHARED) else {
                domain.users -= 1
                queue.free()
                free(handle)
                return nil
            }
            self.number = number
            let entry = engine.segment.queuePair(number)
            entry.pointee.domain = domain.number
            entry.pointee.xrc_domain = xrc.domain.number
            xrc.domain.users += 1
            xrc.completions.users += 1
        }
        handle.pointee.object = Unmanaged.passRetained(self).toOpaque()
    }

    static func of(_ srq: UnsafeMutablePointer<ibv_srq>) -> SharedReceiveQueue {
        srq.withMemoryRebound(to: fermata_srq.self, capacity: 1) {
            object($0.pointee.object, SharedReceiveQueue.self)
        }
    }

    var pointer: UnsafeMutablePointer<ibv_srq> {
        UnsafeMutableRawPointer(handle).assumingMemoryBound(to: ibv_srq.self)
    }

    func take() -> (request: ReceiveQueue.Request, pieces: UnsafeMutablePointer<ibv_sge>)? {
        guard let taken = queue.take() else { return nil }
        if limit > 0, queue.count < limit {
            limit = 0
            raiseLimit()
        }
        return taken
    }

    func putBack() { queue.putBack() }

    /// Reached at once when fewer are posted already.
    func setLimit(_ wanted: Int) {
        limit = wanted
        guard limit > 0, queue.count < limit else { return }
        limit = 0
        raiseLimit()
    }

    private func raiseLimit() {
        Context.of(handle.pointee.srq.context).raise(IBV_EVENT_SRQ_LIMIT_REACHED) {
            $0.element.srq = self.pointer
        }
    }

    func wait(_ queuePair: QueuePair) {
        if !hungry.contains(where: { $0 === queuePair }) { hungry.append(queuePair) }
    }

    func forget(_ queuePair: QueuePair) { hungry.removeAll { $0 === queuePair } }

    /// After a post: those that waited, in the order in which they began to.
    func feed() {
        while queue.count > 0, !hungry.isEmpty {
            let queuePair = hungry.removeFirst()
            queuePair.takeParked()
        }
    }

    /// errno. Waits for acknowledgements of its events.
    func destroy() -> Int32 {
        guard Engine.locked({ users == 0 }) else { return failure(EBUSY) }
        let events = Context.of(handle.pointee.srq.context).forget(pointer)
        pthread_mutex_lock(&handle.pointee.srq.mutex)
        while Int(handle.pointee.srq.events_completed) != events {
            pthread_cond_wait(&handle.pointee.srq.cond, &handle.pointee.srq.mutex)
        }
        pthread_mutex_unlock(&handle.pointee.srq.mutex)
        Engine.locked {
            for responder in responders { responder.discard() }
            responders = []
            domain.users -= 1
            guard number != 0 else { return }
            xrc?.users -= 1
            completions?.users -= 1
            engine.removeNumbered(number)
        }
        queue.free()
        free(handle)
        release(self)
        return 0
    }
}
