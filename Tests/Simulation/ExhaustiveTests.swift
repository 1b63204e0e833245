// SPDX-License-Identifier: Apache-2.0
import Coordination
import Testing

/// One checkpoint of a small job, and one fault at every place there is: before every event and
/// between any two directives.
@Suite struct ExhaustiveTests {
    struct Shape: CustomTestStringConvertible, Sendable {
        let nodes: Int
        let arity: Int
        let plan: Plan
        let name: String
        var testDescription: String { "\(nodes) nodes, arity \(arity), \(name)" }
    }

    static let shapes: [Shape] = [(1, 1), (2, 1), (3, 1), (3, 2)].flatMap { nodes, arity in
        [(Plan.fork, "fork"), (.stop, "stop"), (.kill, "kill")].map {
            Shape(nodes: nodes, arity: arity, plan: $0.0, name: $0.1)
        }
    }

    static func faults(_ nodes: Int) -> [Fault] {
        [.crashCoordinator(lands: false), .crashCoordinator(lands: true)]
            + (0..<nodes).flatMap { [.crashAgent($0), .breakLink($0)] }
            + (0..<nodes).map { .partition(island: [$0], microseconds: 400_000_000, noticed: false) }
    }

    @Test("One fault anywhere", arguments: shapes)
    func everyPoint(shape: Shape) {
        var options = Options(seed: 1)
        options.nodes = shape.nodes
        options.arity = shape.arity
        options.plans = [shape.plan]
        let quiet = Cluster(options)
        quiet.queue.add(.begin(shape.plan), at: 0)
        quiet.drain()
        #expect(quiet.store.isCommitted(1))
        #expect(quiet.violations == [])
        var failed = 0
        // Slow and quick notice of a lost connection, and a manifest that takes its time.
        for (loss, manifest) in [(1...2, nil), (1...2, 5_000_000), (5_000_000...6_000_000, nil)] as [(_, Int?)] {
            options.lossDelay = loss
            for fault in Self.faults(shape.nodes) {
                for point in 1...quiet.points {
                    let comment = check(options, explains: failed == 0) { cluster in
                        cluster.manifestDuration = manifest
                        cluster.inject = { number, _ in number == point ? fault : nil }
                    }
                    guard let comment else { continue }
                    failed += 1
                    if failed == 1 { Issue.record("\(fault) at point \(point), \(shape): \(comment.rawValue)") }
                }
            }
        }
        #expect(failed == 0, "\(failed) of \(quiet.points) points × faults failed")
    }
}
