// SPDX-License-Identifier: Apache-2.0
import Coordination

/// A job on many nodes under virtual time: the real `Coordinator` and `Agent` values, and models
/// of everything they direct. Single-threaded; a run is a function of its `Options`.
final class Cluster {
    /// What comes next in the run.
    enum Event {
        case begin(Plan)
        case arrival(NodeIndex, incarnation: Int, at: Link.End)
        case loss(NodeIndex, incarnation: Int, at: Link.End)
        case performed(NodeIndex, life: Int, work: Int, Phase, EpochNumber, failed: Bool)
        case frozenTooLong(NodeIndex, life: Int, timer: Int, EpochNumber)
        case removal(NodeIndex, life: Int, EpochNumber)
        case deadline(life: Int, EpochNumber, Phase)
        case manifestLands(life: Int, EpochNumber)
        case manifestTold(life: Int, EpochNumber, failed: Bool)
        case coordinatorReturns
        case agentReturns(NodeIndex)
        case gone(NodeIndex)
    }

    /// A place where a fault may strike: before an event, and before each directive.
    enum Point {
        case event(Event)
        case coordinator(Coordinator.Directive)
        case agent(NodeIndex, Agent.Directive)
    }

    let options: Options
    let tree: Tree
    var random: Random
    var queue = EventQueue<Event>()
    var now = 0
    /// Number of the event under way; orders instants in the checkers.
    var instant = 0

    var coordinator: Coordinator? = Coordinator()
    var coordinatorLife = 1
    var nodes: [NodeModel]
    /// Index: the node at the lower end.
    var links: [Link]
    var store = StoreModel()
    var lastEpoch: EpochNumber = 0
    /// A manifest on its way to the disk.
    var manifest: EpochNumber?

    /// Fault points passed. The hook may answer any of them with a fault.
    var points = 0
    var inject: (Int, Point) -> Fault? = { _, _ in nil }
    /// Overrides how long something takes, in microseconds; nil: as the options say.
    var duration: (NodeIndex, Phase) -> Int? = { _, _ in nil }
    var manifestDuration: Int?
    var messageDelay: ClosedRange<Int>
    var faultsLeft: Int
    /// When the job last went on somewhere.
    var lastRelease = 0

    var cut: CutChecker
    var frozen = FrozenChecker()
    var kill = KillChecker()
    var retention = RetentionChecker()
    var outcomes = OutcomeChecker()
    var liveness = LivenessChecker()

    /// Kept when `traces` is set: the replay of a failed run.
    var traces = false
    var trace: [String] = []

    init(_ options: Options) {
        self.options = options
        tree = Tree(nodes: options.nodes, arity: options.arity)
        random = Random(seed: options.seed)
        nodes = (0..<options.nodes).map { [tree] in
            NodeModel(agent: Agent(node: $0, tree: tree), life: 1)
        }
        links = Array(repeating: Link(), count: options.nodes)
        faultsLeft = options.faults
        messageDelay = options.messageDelay
        cut = CutChecker(nodes: options.nodes)
    }

    var violations: [String] {
        cut.violations + frozen.violations + kill.violations + retention.violations + outcomes.violations
            + liveness.violations
    }

    // MARK: the run

    func schedule(_ event: Event, after delay: Int) { queue.add(event, at: now + max(0, delay)) }

    /// The whole run: checkpoints under faults, then quiet until every timer has run out, then
    /// proof that the next checkpoint works.
    func run() {
        var time = 0
        for i in 0..<options.checkpoints {
            queue.add(.begin(options.plans[i % options.plans.count]), at: time)
            time += options.impatient ? random.within(1...3_000_000) : 5_000_000_000
        }
        drain()
        settle()
        proveLiveness(freshAgents: false)
        proveLiveness(freshAgents: true)
    }

    /// Until nothing is going to happen any more.
    func drain() {
        while let (time, event) = queue.next() {
            now = time
            instant += 1
            point(.event(event))
            handle(event)
            if traces, let first = violations.first {
                note("BROKEN  \(first)")
                traces = false
            }
        }
    }

    func settle() {
        frozen.settled(nodes)
        outcomes.settled(life: coordinator == nil ? 0 : coordinatorLife)
    }

    /// Without faults from here on: a fresh coordinator with the agents that are there, or with
    /// fresh ones, checkpoints the job.
    func proveLiveness(freshAgents: Bool) {
        inject = { _, _ in nil }
        duration = { _, phase in phase == .persist ? 1_000_000 : 1_000 }
        manifestDuration = 1_000
        messageDelay = 50...500
        faultsLeft = 0
        let jobEnded = nodes.contains { $0.isKilled }
        coordinator = Coordinator()
        coordinatorLife += 1
        for i in nodes.indices where freshAgents || jobEnded || nodes[i].agent == nil {
            nodes[i].agent = Agent(node: i, tree: tree)
            nodes[i].life += 1
            if jobEnded { nodes[i].isKilled = false }
        }
        for i in links.indices { links[i].silentUntil = 0 }
        begin(options.plans[0])
        drain()
        let who = freshAgents ? "a fresh coordinator and fresh agents" : "a fresh coordinator"
        liveness.quiet(lastEpoch, outcomes.outcome(lastEpoch), store, who)
        settle()
    }

    /// A fault may strike here.
    func point(_ point: Point) {
        points += 1
        if traces { note(point) }
        if let fault = inject(points, point) { strike(fault) }
        if faultsLeft > 0, random.chance(options.faultRate) {
            faultsLeft -= 1
            strike(.drawn(random.pick(options.kinds), nodes: nodes.count, from: &random))
        }
    }

    private func note(_ point: Point) {
        switch point {
        case .event(let event): note("\(event)")
        case .coordinator(let directive): note("        coordinator: \(directive)")
        case .agent(let node, let directive): note("        agent \(node): \(directive)")
        }
    }

    func note(_ text: @autoclosure () -> String) {
        guard traces else { return }
        var line = text()
        for (long, short) in Self.shorter { line = line.replacing(long, with: short) }
        trace.append("\(points)\t\(now / 1000) ms\t\(line)")
    }

    private static let shorter = [
        ("Coordination.", ""), ("\(Plan.fork)".replacing("Coordination.", with: ""), "fork"),
        ("\(Plan.stop)".replacing("Coordination.", with: ""), "stop"),
        ("\(Plan.kill)".replacing("Coordination.", with: ""), "kill"),
    ]

    private func handle(_ event: Event) {
        switch event {
        case .begin(let plan): begin(plan)
        case .arrival(let link, let incarnation, let end): arrive(link, incarnation, end)
        case .loss(let link, let incarnation, let end):
            if links[link].incarnation == incarnation { tellLoss(link, end) }
        case .performed(let node, let life, let work, let phase, let epoch, let failed):
            guard nodes[node].life == life, nodes[node].work == work else { return }
            complete(node, phase, epoch, failed: failed)
        case .frozenTooLong(let node, let life, let timer, let epoch):
            guard nodes[node].life == life, nodes[node].timer == timer else { return }
            tell(node, .frozenTooLong(epoch))
        case .removal(let node, let life, let epoch):
            if nodes[node].life == life { remove(node, epoch) }
        case .deadline(let life, let epoch, let phase):
            if coordinatorLife == life { tellCoordinator(.deadline(epoch, phase)) }
        case .manifestLands(let life, let epoch):
            if coordinatorLife == life, manifest == epoch { land(epoch) }
        case .manifestTold(let life, let epoch, let failed):
            guard coordinatorLife == life else { return }
            manifest = nil
            tellCoordinator(failed ? .manifestFailed(epoch, "no space left") : .manifestWritten(epoch))
        case .coordinatorReturns:
            guard coordinator == nil else { return }
            coordinator = Coordinator()
            coordinatorLife += 1
        case .agentReturns(let node):
            guard nodes[node].agent == nil else { return }
            nodes[node].agent = Agent(node: node, tree: tree)
            nodes[node].life += 1
        case .gone(let link): breakLink(link)
        }
    }

    private func begin(_ plan: Plan) {
        guard let coordinator, !nodes.contains(where: { $0.isKilled }) else { return }
        if coordinator.current == nil { connect() }
        lastEpoch += 1
        outcomes.began(lastEpoch, life: coordinatorLife)
        tellCoordinator(.begin(lastEpoch, plan))
    }
}
