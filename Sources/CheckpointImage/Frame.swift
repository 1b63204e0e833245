// SPDX-License-Identifier: Apache-2.0
import CLinux
import SwiftProtobuf

/// Envelope of a metadata file: "FERMATA\n", format version (u32), zero (u32), payload length
/// (u64), payload, XXH3-64 of everything before (u64). Integers are little endian.
public enum Frame {
    static let magic = Array("FERMATA\n".utf8)
    static let headerBytes = 24
    /// More than any metadata this version writes; a length beyond it is corruption.
    static let maximumPayload = 1 << 34

    public static func encode(_ message: some Message, version: UInt32 = Format.version) throws
        -> [UInt8]
    {
        let payload: [UInt8] = try message.serializedBytes()
        var result = magic
        result.reserveCapacity(headerBytes + payload.count + 8)
        append(version, to: &result)
        append(UInt32(0), to: &result)
        append(UInt64(payload.count), to: &result)
        result += payload
        append(checksum(result), to: &result)
        return result
    }

    /// Throws `ImageError` naming `file` for anything but an intact frame of a known version.
    public static func decode<M: Message>(_ type: M.Type, from bytes: [UInt8], file: String) throws -> M
    {
        func fail(_ reason: String) -> ImageError { ImageError(file: file, reason: reason) }
        guard bytes.count >= headerBytes + 8 else {
            throw fail("truncated: \(bytes.count) bytes")
        }
        guard Array(bytes[0..<8]) == magic else { throw fail("not a Fermata image file") }
        let length: UInt64 = integer(bytes, at: 16)
        guard length <= UInt64(maximumPayload), bytes.count == headerBytes + Int(length) + 8 else {
            throw fail("truncated or extended: \(bytes.count) bytes, expected \(length &+ 32)")
        }
        let stored: UInt64 = integer(bytes, at: bytes.count - 8)
        guard checksum(Array(bytes.dropLast(8))) == stored else {
            throw fail("checksum mismatch: the file is damaged")
        }
        let version: UInt32 = integer(bytes, at: 8)
        guard version >= 1, version <= Format.version else {
            throw fail("format version \(version); this Fermata reads up to \(Format.version)")
        }
        do {
            return try M(serializedBytes: Array(bytes[headerBytes..<(bytes.count - 8)]))
        } catch {
            throw fail("not decodable: \(error)")
        }
    }

    static func append<T: FixedWidthInteger>(_ value: T, to bytes: inout [UInt8]) {
        withUnsafeBytes(of: value.littleEndian) { bytes += Array($0) }
    }

    static func integer<T: FixedWidthInteger>(_ bytes: [UInt8], at offset: Int) -> T {
        var result: T = 0
        for i in (0..<MemoryLayout<T>.size).reversed() {
            result = result << 8 | T(truncatingIfNeeded: bytes[offset + i])
        }
        return result
    }
}

/// XXH3-64 of `bytes`.
public func checksum(_ bytes: [UInt8]) -> UInt64 {
    bytes.withUnsafeBytes { fermata_xxh3($0.baseAddress, $0.count) }
}

public func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
    fermata_xxh3(bytes.baseAddress, bytes.count)
}
