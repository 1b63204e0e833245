// SPDX-License-Identifier: Apache-2.0
import Coordination

/// No epoch has a manifest unless every node's part is durable and of the same cut: all nodes
/// stood still at one common instant, and each was captured while all of them did.
struct CutChecker {
    private struct Record {
        var frozen: Int?
        var captureBegan: Int?
        var captured: Int?
        var released: Int?
    }

    private let nodes: Int
    private var records: [EpochNumber: [Record]] = [:]
    private(set) var violations: [String] = []

    init(nodes: Int) { self.nodes = nodes }

    private mutating func note(
        _ node: NodeIndex, _ epoch: EpochNumber, _ field: WritableKeyPath<Record, Int?>, _ instant: Int
    ) {
        records[epoch, default: Array(repeating: Record(), count: nodes)][node][keyPath: field] = instant
    }

    mutating func frozen(_ node: NodeIndex, _ epoch: EpochNumber, at instant: Int) {
        note(node, epoch, \.frozen, instant)
    }

    mutating func captureBegan(_ node: NodeIndex, _ epoch: EpochNumber, isFrozen: Bool, at instant: Int) {
        if !isFrozen { violations.append("cut: node \(node) is captured for \(epoch) while it runs") }
        note(node, epoch, \.captureBegan, instant)
    }

    mutating func captured(_ node: NodeIndex, _ epoch: EpochNumber, at instant: Int) {
        note(node, epoch, \.captured, instant)
    }

    /// The node goes on (or is killed): every epoch it stood still for has its end.
    mutating func released(_ node: NodeIndex, at instant: Int) {
        for epoch in Array(records.keys)
        where records[epoch]![node].frozen != nil && records[epoch]![node].released == nil {
            records[epoch]![node].released = instant
        }
    }

    mutating func committed(_ epoch: EpochNumber, _ store: StoreModel) {
        let missing = (0..<nodes).filter { !store.isDurable($0, epoch) }
        if !missing.isEmpty {
            violations.append("cut: \(epoch) is committed without the durable part of nodes \(missing.prefix(8))")
        }
        guard let list = records[epoch] else {
            violations.append("cut: \(epoch) is committed and was never captured")
            return
        }
        let from = list.map { $0.frozen ?? .max }.max()!
        let to = list.map { $0.released ?? .max }.min()!
        if from > to { violations.append("cut: \(epoch) is committed, its nodes never stood still together") }
        for (node, record) in list.enumerated() {
            guard let began = record.captureBegan, let captured = record.captured, began >= from,
                captured <= to
            else {
                violations.append("cut: \(epoch) is committed, node \(node) was captured outside of the cut")
                return
            }
        }
    }
}
