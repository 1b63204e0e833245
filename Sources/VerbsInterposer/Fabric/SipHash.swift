// SPDX-License-Identifier: Apache-2.0

/// SipHash-2-4 (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012) of whole words: a
/// proof that whoever made it knows the key. Pure.
struct SipHash {
    private var v: (UInt64, UInt64, UInt64, UInt64)
    private var bytes: UInt64 = 0

    init(key: (UInt64, UInt64)) {
        v = (
            key.0 ^ 0x736f_6d65_7073_6575, key.1 ^ 0x646f_7261_6e64_6f6d,
            key.0 ^ 0x6c79_6765_6e65_7261, key.1 ^ 0x7465_6462_7974_6573
        )
    }

    mutating func add(_ word: UInt64) {
        bytes += 8
        compress(word)
    }

    mutating func finish() -> UInt64 {
        compress(bytes << 56)
        v.2 ^= 0xff
        for _ in 0..<4 { mix() }
        return v.0 ^ v.1 ^ v.2 ^ v.3
    }

    private mutating func compress(_ word: UInt64) {
        v.3 ^= word
        for _ in 0..<2 { mix() }
        v.0 ^= word
    }

    private mutating func mix() {
        v.0 &+= v.1
        v.1 = Self.rotate(v.1, 13) ^ v.0
        v.0 = Self.rotate(v.0, 32)
        v.2 &+= v.3
        v.3 = Self.rotate(v.3, 16) ^ v.2
        v.0 &+= v.3
        v.3 = Self.rotate(v.3, 21) ^ v.0
        v.2 &+= v.1
        v.1 = Self.rotate(v.1, 17) ^ v.2
        v.2 = Self.rotate(v.2, 32)
    }

    private static func rotate(_ x: UInt64, _ n: UInt64) -> UInt64 { x << n | x >> (64 - n) }
}
