// SPDX-License-Identifier: Apache-2.0
import CVerbs

// Requests of an extended reliable connection name a shared receive queue and go straight to the
// process that has it, past the one that has the target queue pair: what they need to know of that
// is in the segment. For each initiator that sends to it a shared receive queue has a responder, a
// queue pair that no application sees, with the target's number.

extension SharedReceiveQueue {
    /// The responder for requests from an initiator; nil when its target does not take them.
    func responder(for source: UInt32) -> QueuePair? {
        guard let xrc, source < UInt32(FABRIC_QUEUE_PAIRS) else { return nil }
        let segment = engine.segment
        let number = segment.queuePair(source).pointee.peer
        guard number < UInt32(FABRIC_QUEUE_PAIRS) else { return nil }
        let target = segment.queuePair(number)
        guard target.pointee.kind == FABRIC_TARGET.rawValue, target.pointee.peer == source,
            target.pointee.xrc_domain == xrc.number
        else { return nil }
        let found = responders.first { $0.number == number } ?? makeResponder(number)
        found.follow(target)
        return found
    }

    private func makeResponder(_ number: UInt32) -> QueuePair {
        // Those whose target is gone will not be asked for again.
        let gone = responders.filter { engine.owner(of: $0.number) == nil }
        for responder in gone { responder.discard() }
        responders.removeAll { responder in gone.contains { $0 === responder } }
        let made = QueuePair(
            engine,
            .init(
                context: handle.pointee.srq.context, type: IBV_QPT_XRC_RECV, role: .responder,
                domain: domain, xrc: xrc, receive: completions, shared: self, number: number))
        responders.append(made.unsafelyUnwrapped)  // only a new number can be refused
        return made.unsafelyUnwrapped
    }
}

extension QueuePair {
    /// Takes over what the target queue pair is now.
    fileprivate func follow(_ target: UnsafeMutablePointer<fabric_queue_pair>) {
        if generation != target.pointee.generation {
            reset()
            generation = target.pointee.generation
        }
        attributes.dest_qp_num = target.pointee.peer
        attributes.qp_access_flags = target.pointee.access
        attributes.max_dest_rd_atomic = UInt8(truncatingIfNeeded: target.pointee.destination_reads)
        attributes.min_rnr_timer = UInt8(truncatingIfNeeded: target.pointee.receiver_not_ready)
        adopt(ibv_qp_state(fabric_load32(&target.pointee.state)))
    }
}
