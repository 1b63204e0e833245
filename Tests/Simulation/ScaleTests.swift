// SPDX-License-Identifier: Apache-2.0
import Coordination
import Testing

@Suite(.serialized) struct ScaleTests {
    private func large() -> Options {
        var options = Options(seed: 32_768)
        options.nodes = 32_768
        options.arity = 32
        return options
    }

    @Test("32,768 nodes: a checkpoint commits")
    func quiet() {
        let cluster = Cluster(large())
        cluster.queue.add(.begin(.fork), at: 0)
        cluster.drain()
        cluster.settle()
        #expect(cluster.outcomes.outcome(1) == .committed)
        #expect(cluster.violations == [])
    }

    @Test("32,768 nodes: an agent that crashes fails the epoch and nothing else", arguments: [40_000, 400_000])
    func crash(point: Int) {
        let cluster = Cluster(large())
        let victim = Random(seed: UInt64(point)).first(below: 32_768)
        cluster.inject = { number, _ in number == point ? .crashAgent(victim) : nil }
        cluster.queue.add(.begin(.stop), at: 0)
        cluster.drain()
        cluster.settle()
        #expect(!cluster.store.isCommitted(1))
        #expect(cluster.violations == [])
    }
}

extension Random {
    func first(below bound: Int) -> Int {
        var copy = self
        return copy.below(bound)
    }
}
