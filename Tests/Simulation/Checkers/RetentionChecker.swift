// SPDX-License-Identifier: Apache-2.0
import Coordination

/// Nothing deletes any part of a committed epoch.
struct RetentionChecker {
    private(set) var violations: [String] = []

    mutating func removes(_ node: NodeIndex, _ epoch: EpochNumber, _ store: StoreModel) {
        guard store.isCommitted(epoch) else { return }
        violations.append("retention: node \(node) deletes its part of \(epoch), which is committed")
    }
}
