// SPDX-License-Identifier: Apache-2.0
import Coordination

/// Everything that a run depends on. Times in microseconds of virtual time.
struct Options: CustomStringConvertible {
    var seed: UInt64
    var nodes = 3
    var arity = 2
    /// How many checkpoints somebody asks for, one after another or (`impatient`) meanwhile.
    var checkpoints = 1
    var impatient = false
    var plans: [Plan] = [.fork]
    var messageDelay = 50...500
    /// Until an end of a broken connection is told.
    var lossDelay = 100...2_000
    /// Probability that it takes far longer than any deadline, or for ever.
    var lateLoss = 0.0
    /// Probabilities per directive to perform something.
    var slowPhase = 0.0
    var hangingPhase = 0.0
    var failingPhase = 0.0
    var slowManifest = 0.0
    var failingManifest = 0.0
    /// The rename happened, a later step failed: the writer hears of a failure.
    var ambiguousManifest = 0.0
    /// At most so many faults; at each fault point one with probability `faultRate`.
    var faults = 0
    var faultRate = 0.0
    var kinds: [Fault.Kind] = []

    init(seed: UInt64) { self.seed = seed }

    /// A run drawn from its seed, the probabilities of its faults included: most runs have few
    /// kinds of trouble and much of it, which finds more than a little of everything.
    static func swarm(_ seed: UInt64) -> Options {
        var random = Random(seed: seed ^ 0x5eed)
        func sometimes(_ values: [Double]) -> Double { random.chance(0.3) ? random.pick(values) : 0 }
        var o = Options(seed: seed)
        o.nodes = random.chance(0.1) ? random.within(10...40) : random.within(1...7)
        o.arity = random.within(1...4)
        o.checkpoints = random.within(1...4)
        o.impatient = random.chance(0.2)
        o.plans = (0..<random.within(1...3)).map { _ in random.pick([.fork, .stop, .kill]) }
        o.messageDelay = random.pick([1...2, 50...500, 10...50_000, 1_000...3_000_000])
        o.lossDelay = random.pick([1...10, 100...2_000, 1_000...10_000_000])
        o.lateLoss = sometimes([0.1, 0.5, 1])
        o.slowPhase = sometimes([0.01, 0.1, 0.5])
        o.hangingPhase = sometimes([0.003, 0.03])
        o.failingPhase = sometimes([0.01, 0.05])
        o.slowManifest = sometimes([0.5, 1])
        o.failingManifest = sometimes([0.2, 0.5])
        o.ambiguousManifest = sometimes([0.1])
        o.faults = random.pick([0, 1, 1, 2, 3, 6])
        o.faultRate = random.pick([0.002, 0.01, 0.03]) * 7 / Double(o.nodes + 3)
        o.kinds = (0..<random.within(1...4)).map { _ in random.pick(Fault.Kind.allCases) }
        return o
    }

    var description: String {
        Mirror(reflecting: self).children.map { "\($0.label ?? "")=\($0.value)" }.joined(separator: " ")
    }

    /// The one command that makes a failed run happen again, with its trace.
    var command: String {
        "FERMATA_SIM_SEED=\(seed) swift test -c release --filter SimulationTests.Swarm"
    }
}

extension Plan {
    static let fork = Plan(resumeBeforePersist: true, kill: false)
    static let stop = Plan(resumeBeforePersist: false, kill: false)
    static let kill = Plan(resumeBeforePersist: false, kill: true)
}

enum Fault: Equatable {
    /// `lands`: a manifest on its way reaches the store.
    case crashCoordinator(lands: Bool)
    /// The agent's process; its node's part of the job runs on, detached.
    case crashAgent(NodeIndex)
    /// The connection between a node and its parent (of node 0: the coordinator).
    case breakLink(NodeIndex)
    /// Connections between `island` and the others are silent for `microseconds`; with
    /// `noticed`, their ends give them up at some time in between.
    case partition(island: Set<NodeIndex>, microseconds: Int, noticed: Bool)

    enum Kind: CaseIterable { case crashCoordinator, crashAgent, breakLink, partition }

    static func drawn(_ kind: Kind, nodes: Int, from random: inout Random) -> Fault {
        switch kind {
        case .crashCoordinator: return .crashCoordinator(lands: random.chance(0.5))
        case .crashAgent: return .crashAgent(random.below(nodes))
        case .breakLink: return .breakLink(random.below(nodes))
        case .partition:
            return .partition(
                island: Set((0..<nodes).filter { _ in random.chance(0.4) }),
                microseconds: random.pick([10_000, 1_000_000, 90_000_000, 400_000_000]),
                noticed: random.chance(0.5))
        }
    }
}
