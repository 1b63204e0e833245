// SPDX-License-Identifier: Apache-2.0

/// A cursor over the text of a /proc file. Works on bytes: String splitting costs
/// milliseconds on a process with thousands of mappings, and that is time the job stands still.
public struct ByteScanner {
    let bytes: ArraySlice<UInt8>
    var index: Int

    public init(_ bytes: ArraySlice<UInt8>) {
        self.bytes = bytes
        index = bytes.startIndex
    }

    public var isAtEnd: Bool { index >= bytes.endIndex }
    public var current: UInt8? { isAtEnd ? nil : bytes[index] }

    public mutating func hex() -> UInt64 {
        var value: UInt64 = 0
        while let digit = current.flatMap(Self.nibble) {
            value = value << 4 | UInt64(digit)
            index += 1
        }
        return value
    }

    public mutating func decimal() -> UInt64 {
        var value: UInt64 = 0
        while let c = current, c >= 48, c <= 57 {
            value = value &* 10 &+ UInt64(c - 48)
            index += 1
        }
        return value
    }

    public mutating func octal() -> UInt64 {
        var value: UInt64 = 0
        while let c = current, c >= 48, c <= 55 {
            value = value << 3 | UInt64(c - 48)
            index += 1
        }
        return value
    }

    public mutating func signed() -> Int64 {
        let negative = current == UInt8(ascii: "-")
        if negative { index += 1 }
        let value = Int64(bitPattern: decimal())
        return negative ? -value : value
    }

    public mutating func skip(_ count: Int = 1) { index += count }

    public mutating func skipBlanks() {
        while let c = current, c == 32 || c == 9 { index += 1 }
    }

    /// Up to the next blank.
    public mutating func word() -> ArraySlice<UInt8> {
        let start = index
        while let c = current, c != 32, c != 9, c != 10 { index += 1 }
        return bytes[start..<index]
    }

    public var rest: ArraySlice<UInt8> { bytes[min(index, bytes.endIndex)...] }

    static func nibble(_ c: UInt8) -> UInt8? {
        switch c {
        case 48...57: c - 48
        case 97...102: c - 87
        case 65...70: c - 55
        default: nil
        }
    }
}

extension ArraySlice<UInt8> {
    public var text: String { String(decoding: self, as: UTF8.self) }

    public func starts(with prefix: StaticString) -> Bool {
        guard count >= prefix.utf8CodeUnitCount else { return false }
        for i in 0..<prefix.utf8CodeUnitCount where self[startIndex + i] != prefix.utf8Start[i] {
            return false
        }
        return true
    }
}

extension ByteScanner {
    /// A hexadecimal digit's value; 0 for anything else.
    public static func digit(_ c: UInt8) -> UInt8 { nibble(c) ?? 0 }
}
