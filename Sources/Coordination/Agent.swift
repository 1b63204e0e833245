// SPDX-License-Identifier: Apache-2.0

/// One agent's part of the barrier protocol: does each phase on its node, passes commands down
/// the tree, and reports a phase up when it and everything below it are done. A value, like
/// `Coordinator`.
public struct Agent: Sendable {
    public enum Event: Equatable, Sendable {
        case command(Command)
        case report(from: NodeIndex, Report)
        /// What a `perform` directive asked for is done.
        case performed(Phase, EpochNumber)
        case failed(Phase, EpochNumber, reason: String, code: Int32)
        /// The connection up the tree is gone.
        case parentLost
        /// The connection to a child is gone.
        case childLost(NodeIndex)
        /// The job has stood still for as long as it may without a word from above.
        case frozenTooLong(EpochNumber)
    }

    public enum Directive: Equatable, Sendable {
        /// Do this on the node; answer with `performed` or `failed`.
        case perform(Phase, EpochNumber, Plan)
        /// Let the job go on and drop what was written of the epoch. Cannot fail.
        case abandon(EpochNumber)
        /// Let the job go on and keep what was written: it may be committed at this moment. The
        /// next `prepare` removes it if it was not. Cannot fail.
        case release(EpochNumber)
        case forward(to: NodeIndex, Command)
        case report(Report)
        case setFrozenDeadline(EpochNumber, milliseconds: Int)
        case cancelFrozenDeadline
    }

    public struct State: Equatable, Sendable {
        public let epoch: EpochNumber
        public let plan: Plan
        public internal(set) var phase: Phase
        /// This node has done its part of `phase`.
        public internal(set) var isDone = false
        /// Children that have reported `phase` done.
        public internal(set) var children: Set<NodeIndex> = []
        public internal(set) var holdsJob = false
        /// `persist` was reported done for this subtree: from then on only the coordinator knows
        /// whether the epoch will exist, and only its word may remove files.
        public internal(set) var isPromised = false
    }

    public let node: NodeIndex
    public let tree: Tree
    public private(set) var current: State?
    /// Epochs up to this one are over here: late commands for them are answered with a failure.
    public private(set) var lastEnded: EpochNumber = 0
    private let frozenMilliseconds: Int
    private let persistMilliseconds: Int

    /// `frozenMilliseconds`: how long the job may stand still without word from above;
    /// `persistMilliseconds`: how much longer while data is written. Both must be more than the
    /// coordinator's own deadlines.
    public init(
        node: NodeIndex, tree: Tree, frozenMilliseconds: Int = 120_000,
        persistMilliseconds: Int = 3_600_000
    ) {
        self.node = node
        self.tree = tree
        self.frozenMilliseconds = frozenMilliseconds
        self.persistMilliseconds = persistMilliseconds
    }

    public mutating func handle(_ event: Event) -> [Directive] {
        switch event {
        case .command(.enter(let phase, let epoch, let plan)): return enter(phase, epoch, plan)
        case .command(.abort(let epoch)): return abort(epoch)
        case .command(.release(let epoch)): return current?.epoch == epoch ? giveUp(keeping: true) : []
        case .report(let child, .done(let phase, let epoch)):
            guard var state = matching(phase, epoch) else { return [] }
            state.children.insert(child)
            current = state
            return advance()
        case .report(_, .failed(let phase, let epoch, let failure)):
            guard current?.epoch == epoch else { return [] }
            return [.report(.failed(phase, epoch, failure))]
        case .performed(let phase, let epoch):
            guard var state = matching(phase, epoch) else { return [] }
            state.isDone = true
            current = state
            return released(after: phase) + advance()
        case .failed(let phase, let epoch, let reason, let code):
            guard matching(phase, epoch) != nil else { return [] }
            return [.report(.failed(phase, epoch, failure(phase, reason, code)))]
        case .parentLost: return giveUp(keeping: current?.isPromised == true)
        case .childLost(let child):
            guard let state = current else { return [] }
            return [
                .report(
                    .failed(
                        state.phase, state.epoch,
                        failure(state.phase, "node \(child) is unreachable", 69)))
            ]
        case .frozenTooLong(let epoch):
            guard let state = current, state.epoch == epoch, state.holdsJob else { return [] }
            // Above, they may still be waiting for this node.
            let report = Directive.report(
                .failed(
                    state.phase, epoch, failure(state.phase, "the job stood still for too long", 75)))
            return giveUp(keeping: state.isPromised) + [report]
        }
    }

    private func matching(_ phase: Phase, _ epoch: EpochNumber) -> State? {
        guard let state = current, state.epoch == epoch, state.phase == phase else { return nil }
        return state
    }

    private func failure(_ phase: Phase, _ reason: String, _ code: Int32) -> Failure {
        Failure(node: node, phase: phase, reason: reason, code: code)
    }

    private mutating func enter(_ phase: Phase, _ epoch: EpochNumber, _ plan: Plan) -> [Directive] {
        if let state = current, state.epoch == epoch {
            guard state.isDone, state.plan.next(after: state.phase) == phase else { return [] }
        } else {
            // Anything but the beginning of a new epoch is for one that has ended here.
            guard phase == .prepare, epoch > lastEnded else {
                return [
                    .report(
                        .failed(
                            phase, epoch,
                            failure(phase, "this node has already given checkpoint \(epoch) up", 75)))
                ]
            }
            var undo: [Directive] = []
            if let old = current { undo = abort(old.epoch) }
            current = State(epoch: epoch, plan: plan, phase: phase)
            return undo + begin(phase)
        }
        current!.phase = phase
        current!.isDone = false
        current!.children = []
        return begin(phase)
    }

    private mutating func begin(_ phase: Phase) -> [Directive] {
        let state = current!
        var result: [Directive] = tree.children(of: node).map {
            .forward(to: $0, .enter(phase, state.epoch, state.plan))
        }
        if phase.holdsJob || state.holdsJob {
            current!.holdsJob = true
            let limit = frozenMilliseconds + (phase == .persist ? persistMilliseconds : 0)
            result.append(.setFrozenDeadline(state.epoch, milliseconds: limit))
        }
        return result + [.perform(phase, state.epoch, state.plan)]
    }

    private mutating func released(after phase: Phase) -> [Directive] {
        guard phase == .resume || phase == .kill, current!.holdsJob else { return [] }
        current!.holdsJob = false
        return [.cancelFrozenDeadline]
    }

    /// Reports the phase when this node and its whole subtree are done.
    private mutating func advance() -> [Directive] {
        guard let state = current, state.isDone,
            state.children.count == tree.children(of: node).count
        else { return [] }
        let report = Directive.report(.done(state.phase, state.epoch))
        if state.phase == .persist { current!.isPromised = true }
        if state.plan.next(after: state.phase) == nil {
            lastEnded = max(lastEnded, state.epoch)
            current = nil
        }
        return [report]
    }

    private mutating func abort(_ epoch: EpochNumber) -> [Directive] {
        let below = tree.children(of: node).map { Directive.forward(to: $0, .abort(epoch)) }
        guard let state = current, state.epoch == epoch else {
            lastEnded = max(lastEnded, epoch)
            return below
        }
        return below + end(state)
    }

    /// Without a coordinator: the job goes on. Once the data is promised its files stay: a check
    /// whether the manifest exists could be a moment too early.
    private mutating func giveUp(keeping: Bool) -> [Directive] {
        guard let state = current else { return [] }
        let command: Command = keeping ? .release(state.epoch) : .abort(state.epoch)
        return tree.children(of: node).map { .forward(to: $0, command) } + end(state, keeping: keeping)
    }

    private mutating func end(_ state: State, keeping: Bool = false) -> [Directive] {
        current = nil
        lastEnded = max(lastEnded, state.epoch)
        return (state.holdsJob ? [.cancelFrozenDeadline] : [])
            + [keeping ? .release(state.epoch) : .abandon(state.epoch)]
    }
}
