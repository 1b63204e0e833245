// SPDX-License-Identifier: Apache-2.0
import Coordination

/// A job never stays frozen: once faults have stopped and every timer has run out, every node
/// that has not been killed runs.
struct FrozenChecker {
    private(set) var violations: [String] = []

    mutating func settled(_ nodes: [NodeModel]) {
        for (node, model) in nodes.enumerated() where !model.isKilled && !model.isRunning {
            violations.append("frozen: node \(node) stands still for ever")
        }
    }
}
