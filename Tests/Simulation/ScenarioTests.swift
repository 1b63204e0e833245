// SPDX-License-Identifier: Apache-2.0
import Coordination
import Testing

/// Stories that random runs have told, by hand and without chance.
@Suite struct ScenarioTests {
    private func cluster(_ nodes: Int, _ plan: Plan) -> Cluster {
        var options = Options(seed: 1)
        options.nodes = nodes
        options.plans = [plan]
        let cluster = Cluster(options)
        cluster.traces = true
        return cluster
    }

    private func run(_ cluster: Cluster) {
        cluster.queue.add(.begin(cluster.options.plans[0]), at: 0)
        cluster.drain()
        cluster.settle()
        let broken = cluster.violations
        if !broken.isEmpty { Issue.record(explain(cluster.options, broken, cluster.trace)) }
    }

    @Test("The connection to the agents breaks while the manifest is on its way", arguments: 1...3)
    func treeLostDuringManifest(nodes: Int) {
        for plan in [Plan.fork, .stop, .kill] {
            let cluster = cluster(nodes, plan)
            cluster.manifestDuration = 5_000_000
            cluster.inject = { _, point in
                if case .coordinator(.writeManifest) = point { .breakLink(0) } else { nil }
            }
            run(cluster)
            // The manifest was written, so that is how it ended.
            guard case .committedWith? = cluster.outcomes.outcome(1) else {
                Issue.record("the outcome is \(cluster.outcomes.outcome(1).map { "\($0)" } ?? "none")")
                continue
            }
        }
    }

    @Test("A subtree is lost while the manifest is on its way")
    func childLostDuringManifest() {
        for plan in [Plan.fork, .stop, .kill] {
            let cluster = cluster(3, plan)
            cluster.manifestDuration = 5_000_000
            cluster.inject = { _, point in
                if case .coordinator(.writeManifest) = point { .breakLink(1) } else { nil }
            }
            run(cluster)
        }
    }

    @Test("The job gives up standing still while the manifest is on its way")
    func frozenTooLongDuringManifest() {
        let cluster = cluster(3, .kill)
        cluster.manifestDuration = 5_000_000_000
        run(cluster)
        #expect(cluster.store.isCommitted(1))
    }

    @Test("A silent partition while the manifest is on its way")
    func partitionDuringManifest() {
        for plan in [Plan.fork, .stop, .kill] {
            let cluster = cluster(3, plan)
            cluster.manifestDuration = 400_000_000
            cluster.inject = { _, point in
                guard case .coordinator(.writeManifest) = point else { return nil }
                return .partition(island: [1], microseconds: 900_000_000, noticed: true)
            }
            run(cluster)
        }
    }

    @Test("Writing for ten minutes while the job stands still is not too long", arguments: 1...3)
    func longPersist(nodes: Int) {
        for plan in [Plan.stop, .kill] {
            let cluster = cluster(nodes, plan)
            cluster.duration = { _, phase in phase == .persist ? 600_000_000 : nil }
            run(cluster)
            #expect(cluster.outcomes.outcome(1) == .committed)
        }
    }

    @Test("When a node is lost after the commit, the others go on at once")
    func lossAfterCommit() {
        let cluster = cluster(3, .kill)
        var lostAt = 0
        cluster.inject = { [unowned cluster] _, point in
            guard case .coordinator(.send(.enter(.commit, _, _))) = point else { return nil }
            lostAt = cluster.now
            return .breakLink(2)
        }
        run(cluster)
        #expect(cluster.store.isCommitted(1))
        #expect(cluster.lastRelease - lostAt < 10_000_000, "µs that the job stood still for nothing")
    }

    @Test("A node whose disk fails takes the epoch with it, and nothing else", arguments: [Plan.fork, .stop, .kill])
    func diskFails(plan: Plan) {
        var options = Options(seed: 1)
        options.failingPhase = 1
        options.plans = [plan]
        let cluster = Cluster(options)
        cluster.duration = { node, phase in node == 2 && phase == .persist ? nil : 1_000 }
        run(cluster)
        guard case .failed(let failure)? = cluster.outcomes.outcome(1) else {
            Issue.record("the checkpoint should have failed")
            return
        }
        #expect(failure.node == 2)
        #expect(failure.phase == .persist)
        #expect(failure.code == 74)
        #expect(cluster.store.parts[1] == [:])
    }

    @Test("A second request meanwhile is refused, the first goes on")
    func busy() {
        let cluster = cluster(2, .fork)
        cluster.queue.add(.begin(.fork), at: 1_000)
        run(cluster)
        #expect(cluster.outcomes.outcome(1) == .committed)
        guard case .failed(let failure)? = cluster.outcomes.outcome(2) else {
            Issue.record("the second request should have been refused")
            return
        }
        #expect(failure.code == 75)
    }
}
