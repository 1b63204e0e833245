// SPDX-License-Identifier: Apache-2.0

/// A run of pages of an object and where in a page file it lies. Units: pages of 4096 bytes.
public struct Extent: Equatable, Sendable {
    /// First page within the mapping or object.
    public var first: UInt64
    public var count: UInt64
    /// First page within the page file.
    public var position: UInt64

    public init(first: UInt64, count: UInt64, position: UInt64) {
        self.first = first
        self.count = count
        self.position = position
    }

    /// As the schema stores them: triples.
    public static func encode(_ extents: [Extent]) -> [UInt64] {
        extents.flatMap { [$0.first, $0.count, $0.position] }
    }

    /// Pages that encoded extents hold in sum.
    public static func pages(_ words: [UInt64]) -> UInt64 {
        stride(from: 1, to: words.count, by: 3).reduce(0) { $0 + words[$1] }
    }

    /// nil unless `words` are triples that stay within `objectPages` and `filePages` and ascend.
    public static func decode(
        _ words: [UInt64], objectPages: UInt64, filePages: UInt64
    ) -> [Extent]? {
        guard words.count.isMultiple(of: 3) else { return nil }
        var result: [Extent] = []
        var next: UInt64 = 0
        for i in stride(from: 0, to: words.count, by: 3) {
            let e = Extent(first: words[i], count: words[i + 1], position: words[i + 2])
            guard e.first >= next, e.count > 0, e.count <= objectPages, e.first <= objectPages - e.count,
                e.count <= filePages, e.position <= filePages - e.count
            else { return nil }
            next = e.first + e.count
            result.append(e)
        }
        return result
    }

    /// Adds a page at the end, joining it to the last extent where it continues it.
    public static func append(_ page: UInt64, at position: UInt64, to extents: inout [Extent]) {
        if let last = extents.last, last.first + last.count == page,
            last.position + last.count == position
        {
            extents[extents.count - 1].count += 1
        } else {
            extents.append(Extent(first: page, count: 1, position: position))
        }
    }
}
