// SPDX-License-Identifier: Apache-2.0
import CheckpointImage
import Foundation
import ImageStore
import Testing

/// Images written by earlier format versions must load for ever: Tests/Golden/v<version> holds one
/// of each, a statically linked process that waits in pause(2).
@Suite("Golden images")
struct GoldenImageTests {
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("Golden").path

    @Test("Every format version has an image", arguments: 1...Format.version)
    func loads(version: UInt32) throws {
        let store = Store(root: "\(Self.folder)/v\(version)")
        #expect(store.epochs("golden") == [1])
        let reader = try ImageReader(store: store, job: "golden", epoch: 1)
        #expect(reader.verify().isEmpty)
        let inventory = try reader.inventory()
        let process = try #require(inventory.processes.first)
        #expect(inventory.processes.count == 1)
        #expect(process.pid == inventory.rootPid)
        #expect(process.threads.count == 1)
        #expect(process.threads[0].registers.count == 27 * 8)
        // The page that the program filled with 'g' is in the image.
        let pages = try reader.blocks(inventory.blockFiles[Int(process.memory.pagesFile)]).contents()
        let filled = stride(from: 0, to: pages.count, by: Format.pageBytes).contains { start in
            pages[start..<(start + Format.pageBytes)].filter { $0 == UInt8(ascii: "g") }.count > 2000
        }
        #expect(filled)
    }
}
