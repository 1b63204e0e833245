// SPDX-License-Identifier: Apache-2.0
import Coordination

extension Cluster {
    // MARK: coordinator

    func tellCoordinator(_ event: Coordinator.Event) {
        guard coordinator != nil else { return }
        let life = coordinatorLife
        for directive in coordinator!.handle(event) {
            point(.coordinator(directive))
            guard coordinator != nil, coordinatorLife == life else { return }
            carryOut(directive)
        }
    }

    private func carryOut(_ directive: Coordinator.Directive) {
        switch directive {
        case .send(let command): send(.command(command), on: 0, to: .lower)
        case .setDeadline(let epoch, let phase, let milliseconds):
            schedule(.deadline(life: coordinatorLife, epoch, phase), after: milliseconds * 1000)
        case .writeManifest(let epoch): writeManifest(epoch)
        case .finished(let epoch, let outcome): outcomes.finished(epoch, outcome, store)
        }
    }

    /// Some time passes until the manifest is in place, and more until the coordinator knows.
    private func writeManifest(_ epoch: EpochNumber) {
        manifest = epoch
        let slow = random.chance(options.slowManifest)
        let delay = manifestDuration ?? random.within(slow ? 10_000...200_000_000 : 100...20_000)
        let quiet = manifestDuration != nil
        let fails = !quiet && random.chance(options.failingManifest)
        let ambiguous = !quiet && random.chance(options.ambiguousManifest)
        if ambiguous { outcomes.becomesAmbiguous(epoch) }
        if ambiguous || !fails { schedule(.manifestLands(life: coordinatorLife, epoch), after: delay) }
        schedule(
            .manifestTold(life: coordinatorLife, epoch, failed: fails || ambiguous),
            after: delay + random.within(1...100))
    }

    func land(_ epoch: EpochNumber) {
        guard !store.isCommitted(epoch) else { return }
        note("        manifest of \(epoch) is in place")
        store.commit(epoch)
        cut.committed(epoch, store)
        outcomes.committed(epoch)
    }

    // MARK: agents

    func tell(_ node: NodeIndex, _ event: Agent.Event) {
        guard nodes[node].agent != nil else { return }
        let life = nodes[node].life
        for directive in nodes[node].agent!.handle(event) {
            point(.agent(node, directive))
            guard nodes[node].agent != nil, nodes[node].life == life else { return }
            carryOut(directive, by: node)
        }
    }

    private func carryOut(_ directive: Agent.Directive, by node: NodeIndex) {
        switch directive {
        case .perform(let phase, let epoch, _): perform(phase, epoch, on: node)
        case .abandon(let epoch): abandon(epoch, on: node)
        case .release: letGo(node)
        case .forward(let child, let command): send(.command(command), on: child, to: .lower)
        case .report(let report): send(.report(report), on: node, to: .upper)
        case .setFrozenDeadline(let epoch, let milliseconds):
            nodes[node].timer += 1
            schedule(
                .frozenTooLong(node, life: nodes[node].life, timer: nodes[node].timer, epoch),
                after: milliseconds * 1000)
        case .cancelFrozenDeadline: nodes[node].timer += 1
        }
    }

    private func perform(_ phase: Phase, _ epoch: EpochNumber, on node: NodeIndex) {
        nodes[node].work += 1
        kill.performs(phase, node, epoch, store)
        switch phase {
        case .prepare:
            for old in store.epochs(of: node) where old < epoch && !store.isCommitted(old) { remove(node, old) }
        case .quiesce, .drain, .freeze: nodes[node].isHeld = true
        case .capture: cut.captureBegan(node, epoch, isFrozen: nodes[node].isFrozen, at: instant)
        case .persist: store.write(node, epoch)
        case .resume, .commit, .kill: break
        }
        let fixed = duration(node, phase)
        if fixed == nil, random.chance(options.hangingPhase) { return }
        let fails = fixed == nil && random.chance(options.failingPhase)
        schedule(
            .performed(node, life: nodes[node].life, work: nodes[node].work, phase, epoch, failed: fails),
            after: fixed ?? drawDuration(phase))
    }

    private func drawDuration(_ phase: Phase) -> Int {
        if random.chance(options.slowPhase) {
            return random.within(phase == .persist ? 10_000_000...5_000_000_000 : 10_000_000...200_000_000)
        }
        return random.within(phase == .persist ? 1_000...5_000_000 : 10...20_000)
    }

    func complete(_ node: NodeIndex, _ phase: Phase, _ epoch: EpochNumber, failed: Bool) {
        switch phase {
        case .freeze: // one that failed has stopped some threads
            nodes[node].isFrozen = true
            cut.frozen(node, epoch, at: instant)
        case .capture where !failed:
            nodes[node].copy = epoch
            cut.captured(node, epoch, at: instant)
        case .resume where !failed: release(node)
        case .persist where !failed:
            if nodes[node].copy == epoch { store.sync(node, epoch) }
        case .kill where !failed:
            nodes[node].isKilled = true
            release(node)
        default: break
        }
        tell(
            node,
            failed ? .failed(phase, epoch, reason: "input/output error", code: 74) : .performed(phase, epoch))
    }

    func release(_ node: NodeIndex) {
        if nodes[node].isHeld { lastRelease = now }
        cut.released(node, at: instant)
        nodes[node].isHeld = false
        nodes[node].isFrozen = false
    }

    /// Cancels what is under way, lets the job go on; unless the store has the manifest *now*,
    /// the files go a little later.
    private func abandon(_ epoch: EpochNumber, on node: NodeIndex) {
        letGo(node)
        guard !store.isCommitted(epoch) else { return }
        schedule(.removal(node, life: nodes[node].life, epoch), after: random.within(10...5_000))
    }

    private func letGo(_ node: NodeIndex) {
        nodes[node].work += 1
        nodes[node].copy = nil
        if !nodes[node].isKilled { release(node) }
    }

    func remove(_ node: NodeIndex, _ epoch: EpochNumber) {
        guard store.parts[epoch]?[node] != nil else { return }
        note("        node \(node) deletes its part of \(epoch)")
        retention.removes(node, epoch, store)
        store.remove(node, epoch)
    }
}
