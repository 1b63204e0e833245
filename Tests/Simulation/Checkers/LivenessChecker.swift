// SPDX-License-Identifier: Apache-2.0
import Coordination

/// Without faults a checkpoint commits, whatever happened before.
struct LivenessChecker {
    private(set) var violations: [String] = []

    mutating func quiet(
        _ epoch: EpochNumber, _ outcome: Coordinator.Outcome?, _ store: StoreModel, _ who: String
    ) {
        if outcome != .committed || !store.isCommitted(epoch) {
            violations.append(
                "liveness: \(epoch) with \(who) and without faults: "
                    + (outcome.map { "\($0)" } ?? "no outcome"))
        }
    }
}
