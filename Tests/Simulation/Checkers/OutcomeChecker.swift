// SPDX-License-Identifier: Apache-2.0
import Coordination

/// Whoever asks for a checkpoint hears of it at most once, exactly once from a coordinator that
/// lives on, and what he hears is true.
struct OutcomeChecker {
    private struct Asked {
        let life: Int
        var outcome: Coordinator.Outcome?
    }

    private var asked: [EpochNumber: Asked] = [:]
    /// Epochs whose writer was told of a failure although the manifest is there.
    private var ambiguous: Set<EpochNumber> = []
    private(set) var violations: [String] = []

    func outcome(_ epoch: EpochNumber) -> Coordinator.Outcome? { asked[epoch]?.outcome }

    mutating func began(_ epoch: EpochNumber, life: Int) { asked[epoch] = Asked(life: life) }

    mutating func becomesAmbiguous(_ epoch: EpochNumber) { ambiguous.insert(epoch) }

    mutating func finished(_ epoch: EpochNumber, _ outcome: Coordinator.Outcome, _ store: StoreModel) {
        guard let entry = asked[epoch] else {
            violations.append("outcome: \(epoch) was never asked for and is \(outcome)")
            return
        }
        if let first = entry.outcome {
            violations.append("outcome: \(epoch) is \(first) and then also \(outcome)")
        }
        asked[epoch]!.outcome = outcome
        if case .failed = outcome {
            if store.isCommitted(epoch) && !ambiguous.contains(epoch) {
                violations.append("outcome: \(epoch) is said to have failed and is committed")
            }
        } else if !store.isCommitted(epoch) {
            violations.append("outcome: \(epoch) is said to be committed and is not")
        }
    }

    mutating func committed(_ epoch: EpochNumber) {
        if case .failed? = asked[epoch]?.outcome, !ambiguous.contains(epoch) {
            violations.append("outcome: \(epoch) was said to have failed and is committed after that")
        }
    }

    /// `life`: the coordinator that is alive at the end.
    mutating func settled(life: Int) {
        for (epoch, entry) in asked.sorted(by: { $0.key < $1.key })
        where entry.life == life && entry.outcome == nil {
            violations.append("outcome: nobody ever heard of \(epoch), although the coordinator lived on")
        }
    }
}
