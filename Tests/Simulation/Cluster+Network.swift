// SPDX-License-Identifier: Apache-2.0
import Coordination

extension Cluster {
    private func life(of link: NodeIndex, _ end: Link.End) -> Int? {
        switch end {
        case .lower: return nodes[link].agent == nil ? nil : nodes[link].life
        case .upper:
            guard let parent = tree.parent(of: link) else { return coordinator == nil ? nil : coordinatorLife }
            return nodes[parent].agent == nil ? nil : nodes[parent].life
        }
    }

    /// The process at this end is the one that this connection was made by.
    private func isHere(_ link: NodeIndex, _ end: Link.End) -> Bool {
        life(of: link, end) == (end == .lower ? links[link].lowerLife : links[link].upperLife)
    }

    /// Before a checkpoint: connections that are broken are made again, between whoever lives.
    /// An end that had not noticed yet is told first.
    func connect() {
        for i in links.indices where !links[i].isUp || !isHere(i, .upper) || !isHere(i, .lower) {
            tellLoss(i, .upper)
            tellLoss(i, .lower)
            guard let upper = life(of: i, .upper), let lower = life(of: i, .lower) else { continue }
            links[i].incarnation += 1
            links[i].isUp = true
            links[i].upperLife = upper
            links[i].lowerLife = lower
            links[i].upperKnows = false
            links[i].lowerKnows = false
            links[i].down.clear()
            links[i].up.clear()
        }
    }

    func send(_ message: Message, on link: NodeIndex, to end: Link.End) {
        guard links[link].isUp else { return }
        let soonest = max(now + random.within(messageDelay), links[link].silentUntil)
        let time: Int
        if end == .lower {
            time = max(soonest, links[link].down.lastArrival)
            links[link].down.lastArrival = time
            links[link].down.add(message)
        } else {
            time = max(soonest, links[link].up.lastArrival)
            links[link].up.lastArrival = time
            links[link].up.add(message)
        }
        queue.add(.arrival(link, incarnation: links[link].incarnation, at: end), at: time)
    }

    func arrive(_ link: NodeIndex, _ incarnation: Int, _ end: Link.End) {
        guard links[link].incarnation == incarnation else { return }
        if links[link].silentUntil > now {
            queue.add(.arrival(link, incarnation: incarnation, at: end), at: links[link].silentUntil)
            return
        }
        let message = end == .lower ? links[link].down.take() : links[link].up.take()
        guard let message, isHere(link, end) else { return }
        note("        arrives: \(message)")
        switch message {
        case .command(let command): tell(link, .command(command))
        case .report(let report):
            if let parent = tree.parent(of: link) {
                tell(parent, .report(from: link, report))
            } else {
                tellCoordinator(.report(report))
            }
        }
    }

    /// From now on silent. What is under way arrives up to some point, or not at all.
    func breakLink(_ link: NodeIndex) {
        guard links[link].isUp else { return }
        links[link].isUp = false
        if random.chance(0.5) { links[link].down.clear() }
        if random.chance(0.5) { links[link].up.clear() }
        for end in [Link.End.upper, .lower] {
            let late = random.chance(options.lateLoss)
            // A host that vanished sends no reset: this end may hear of it when it connects again.
            if late && random.chance(0.3) { continue }
            let delay = late
                ? random.within(30_000_000...600_000_000) : random.within(options.lossDelay)
            schedule(.loss(link, incarnation: links[link].incarnation, at: end), after: delay)
        }
    }

    func tellLoss(_ link: NodeIndex, _ end: Link.End) {
        if end == .lower {
            guard !links[link].lowerKnows else { return }
            links[link].lowerKnows = true
            links[link].down.clear()
            if isHere(link, .lower) { tell(link, .parentLost) }
        } else {
            guard !links[link].upperKnows else { return }
            links[link].upperKnows = true
            links[link].up.clear()
            guard isHere(link, .upper) else { return }
            if let parent = tree.parent(of: link) {
                tell(parent, .childLost(link))
            } else {
                tellCoordinator(.treeLost)
            }
        }
    }

    // MARK: faults

    func strike(_ fault: Fault) {
        note("FAULT   \(fault)")
        switch fault {
        case .crashCoordinator(let lands): crashCoordinator(lands: lands)
        case .crashAgent(let node): crashAgent(node)
        case .breakLink(let link): breakLink(link)
        case .partition(let island, let microseconds, let noticed):
            for i in links.indices
            where island.contains(i) != (tree.parent(of: i).map { island.contains($0) } ?? false) {
                links[i].silentUntil = max(links[i].silentUntil, now + microseconds)
                if noticed { schedule(.gone(i), after: random.within(0...microseconds)) }
            }
        }
    }

    private func crashCoordinator(lands: Bool) {
        guard coordinator != nil else { return }
        if let epoch = manifest, lands { land(epoch) }
        manifest = nil
        coordinator = nil
        coordinatorLife += 1
        breakLink(0)
        schedule(.coordinatorReturns, after: random.within(1_000...10_000_000))
    }

    /// The kernel detaches a dead tracer: the node's part of the job goes on.
    private func crashAgent(_ node: NodeIndex) {
        guard nodes[node].agent != nil else { return }
        nodes[node].agent = nil
        nodes[node].life += 1
        nodes[node].copy = nil
        release(node)
        if random.chance(0.5) { store.loseUnsynced(node) }
        breakLink(node)
        for child in tree.children(of: node) { breakLink(child) }
        schedule(.agentReturns(node), after: random.within(1_000...10_000_000))
    }
}
