// SPDX-License-Identifier: Apache-2.0
import Coordination

/// A node: its agent, its part of the job, and what the agent is doing to it.
struct NodeModel {
    /// nil: the agent's process is dead.
    var agent: Agent?
    /// Rises with every agent process of this node.
    var life = 0

    /// Traffic is held or threads are stopped: no progress.
    var isHeld = false
    var isFrozen = false
    var isKilled = false
    /// The epoch of which a captured copy is in memory (or in frozen children).
    var copy: EpochNumber?

    /// Work under way; a completion with another number has been cancelled.
    var work = 0
    /// Likewise of the frozen deadline.
    var timer = 0

    var isRunning: Bool { !isKilled && !isHeld && !isFrozen }
}

/// The store: parts of nodes, and manifests. A part counts once it is durable.
struct StoreModel {
    enum Part { case written, durable }

    private(set) var parts: [EpochNumber: [NodeIndex: Part]] = [:]
    private(set) var committed: Set<EpochNumber> = []

    func isDurable(_ node: NodeIndex, _ epoch: EpochNumber) -> Bool { parts[epoch]?[node] == .durable }
    func isCommitted(_ epoch: EpochNumber) -> Bool { committed.contains(epoch) }
    func epochs(of node: NodeIndex) -> [EpochNumber] {
        parts.filter { $0.value[node] != nil }.map(\.key).sorted()
    }

    mutating func write(_ node: NodeIndex, _ epoch: EpochNumber) { parts[epoch, default: [:]][node] = .written }
    mutating func sync(_ node: NodeIndex, _ epoch: EpochNumber) { parts[epoch, default: [:]][node] = .durable }
    mutating func remove(_ node: NodeIndex, _ epoch: EpochNumber) { parts[epoch]?[node] = nil }
    mutating func commit(_ epoch: EpochNumber) { committed.insert(epoch) }

    /// What had not been synced is lost with the process that wrote it.
    mutating func loseUnsynced(_ node: NodeIndex) {
        for epoch in Array(parts.keys) where parts[epoch]?[node] == .written { parts[epoch]?[node] = nil }
    }
}
