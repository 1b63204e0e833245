// SPDX-License-Identifier: Apache-2.0

/// The bytes of a kernel structure, and back. Only for C structures without pointers to Swift.
public func bytes<T: BitwiseCopyable>(of value: T) -> [UInt8] {
    withUnsafeBytes(of: value) { Array($0) }
}

/// Reads a `T` at `offset`; the bytes must be there.
public func value<T: BitwiseCopyable>(
    _ type: T.Type, from bytes: [UInt8], at offset: Int = 0
) -> T {
    precondition(offset + MemoryLayout<T>.size <= bytes.count)
    return bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: T.self) }
}

/// Copies `bytes` over a zeroed `T`; a shorter source leaves the rest zero.
public func structure<T: BitwiseCopyable>(_ zero: T, from bytes: some Collection<UInt8>) -> T {
    var result = zero
    withUnsafeMutableBytes(of: &result) { target in
        for (i, byte) in bytes.prefix(target.count).enumerated() { target[i] = byte }
    }
    return result
}
