// SPDX-License-Identifier: Apache-2.0
import Coordination
import Testing

/// Random runs. FERMATA_SIM_SEEDS: how many (first seed 1); FERMATA_SIM_SEED: this one only.
@Suite struct SwarmTests {
    static let chunks = 8

    static var seeds: ClosedRange<UInt64> {
        if let one = environment("FERMATA_SIM_SEED") { return one...one }
        return 1...max(1, environment("FERMATA_SIM_SEEDS") ?? 10_000)
    }

    @Test("Every seed keeps every invariant", arguments: 0..<chunks)
    func seeds(chunk: Int) {
        var failed = 0
        for seed in Self.seeds where Int(seed % UInt64(Self.chunks)) == chunk {
            guard let comment = check(.swarm(seed), explains: failed < 2) else { continue }
            failed += 1
            if failed <= 2 { Issue.record(comment) }
        }
        #expect(failed == 0, "\(failed) seeds failed in this chunk")
    }
}
