/// SplitMix64: small, good enough, and the same numbers on every machine for one seed.
package struct SeededRandom: RandomNumberGenerator, Sendable {
    private var state: UInt64

    /// Every test draws from its own sequence: one test alone repeats what it did among all.
    package init(seed: UInt64, name: String) {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in name.utf8 {
            hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3
        }
        state = hash ^ (seed &* 0x9E37_79B9_7F4A_7C15)
    }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var x = state
        x = (x ^ (x >> 30)) &* 0xBF58_476D_1CE4_E5B9
        x = (x ^ (x >> 27)) &* 0x94D0_49BB_1331_11EB
        return x ^ (x >> 31)
    }

    package mutating func seconds(in range: ClosedRange<Double>) -> Double {
        Double.random(in: range, using: &self)
    }

    package mutating func coin() -> Bool {
        next() & 1 == 0
    }
}
