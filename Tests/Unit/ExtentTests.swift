// SPDX-License-Identifier: Apache-2.0
import CheckpointImage
import Testing

@Suite struct ExtentTests {
    /// What the schema says, page by page; for small numbers.
    private func isValid(_ words: [UInt64], _ objectPages: UInt64, _ filePages: UInt64) -> Bool {
        guard words.count % 3 == 0 else { return false }
        var last: UInt64?
        for i in stride(from: 0, to: words.count, by: 3) {
            guard words[i + 1] > 0 else { return false }
            for k in 0..<words[i + 1] {
                let page = words[i] + k
                guard page < objectPages, words[i + 2] + k < filePages, last.map({ $0 < page }) ?? true
                else { return false }
                last = page
            }
        }
        return true
    }

    @Test("Decodes exactly what stays in range and ascends")
    func random() {
        var random = TestRandom(seed: 2)
        var accepted = 0
        for _ in 0..<200_000 {
            let words = (0..<random.below(3) * 3 + (random.below(20) == 0 ? 1 : 0)).map { _ in
                UInt64(random.below(7))
            }
            let objectPages = UInt64(random.below(10))
            let filePages = UInt64(random.below(10))
            let decoded = Extent.decode(words, objectPages: objectPages, filePages: filePages)
            #expect((decoded != nil) == isValid(words, objectPages, filePages), "\(words) \(objectPages) \(filePages)")
            if let decoded {
                #expect(Extent.encode(decoded) == words)
                accepted += words.isEmpty ? 0 : 1
            }
        }
        #expect(accepted > 1_000, "the test has to see both kinds")
    }

    @Test("Numbers that overflow are refused")
    func overflow() {
        let large: [UInt64] = [0, 1, 2, 1 << 52, 1 << 63, .max - 1, .max]
        for first in large {
            for count in large {
                for position in large where first > 2 || count > 2 || position > 2 {
                    #expect(Extent.decode([first, count, position], objectPages: 4, filePages: 4) == nil)
                }
            }
        }
    }

    @Test("Appended pages come back, joined where they continue")
    func append() throws {
        var random = TestRandom(seed: 3)
        for _ in 0..<500 {
            var extents: [Extent] = []
            var pages: [UInt64: UInt64] = [:]
            var page: UInt64 = 0
            var position: UInt64 = 0
            for _ in 0..<random.below(40) {
                if random.below(3) == 0 { page += UInt64(random.below(5)) }
                if random.below(5) == 0 { position += UInt64(random.below(5)) }
                Extent.append(page, at: position, to: &extents)
                pages[page] = position
                page += 1
                position += 1
            }
            let decoded = try #require(
                Extent.decode(Extent.encode(extents), objectPages: page, filePages: max(page, position)))
            var found: [UInt64: UInt64] = [:]
            for e in decoded { for k in 0..<e.count { found[e.first + k] = e.position + k } }
            #expect(found == pages)
            for (a, b) in zip(decoded, decoded.dropFirst()) {
                #expect(a.first + a.count != b.first || a.position + a.count != b.position, "not joined")
            }
        }
    }
}
