// SPDX-License-Identifier: Apache-2.0

/// The k-ary tree of agents: node 0 is its root, and the coordinator's only child.
public struct Tree: Equatable, Sendable {
    public let nodes: Int
    public let arity: Int

    public init(nodes: Int, arity: Int = 32) {
        precondition(nodes > 0 && arity > 0)
        self.nodes = nodes
        self.arity = arity
    }

    /// nil for the root.
    public func parent(of node: NodeIndex) -> NodeIndex? { node == 0 ? nil : (node - 1) / arity }

    public func children(of node: NodeIndex) -> Range<NodeIndex> {
        let first = min(nodes, node * arity + 1)
        return first..<min(nodes, first + arity)
    }

    /// Hops from the root to the deepest node.
    public var depth: Int {
        var depth = 0
        var node = nodes - 1
        while let up = parent(of: node) { node = up; depth += 1 }
        return depth
    }
}
