// SPDX-License-Identifier: Apache-2.0
import Coordination

/// A job is never killed unless its epoch is committed, and no node is told of a commit that
/// has not happened.
struct KillChecker {
    private(set) var violations: [String] = []

    mutating func performs(_ phase: Phase, _ node: NodeIndex, _ epoch: EpochNumber, _ store: StoreModel) {
        guard phase == .kill || phase == .commit, !store.isCommitted(epoch) else { return }
        violations.append("kill: node \(node) performs \(phase.rawValue) of \(epoch), which is not committed")
    }
}
