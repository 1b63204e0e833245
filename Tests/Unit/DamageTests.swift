// SPDX-License-Identifier: Apache-2.0
import CheckpointImage
import Glibc
import ImageStore
import Testing

/// Whatever happens to the files of an image, it is found, and the file is named.
@Suite struct DamageTests {
    let folder: TemporaryFolder
    let store: Store
    let files: [String]

    init() throws {
        folder = try TemporaryFolder()
        store = folder.store
        files = SampleEpoch.files(of: try SampleEpoch.write(store, "job", 1, nodes: 2).folder, nodes: 2)
    }

    private func problems() -> [ImageError] {
        do { return try ImageReader(store: store, job: "job", epoch: 1).verify() } catch {
            return [error as? ImageError ?? ImageError(file: "not an ImageError", reason: "\(error)")]
        }
    }

    @Test("Every flipped byte is found, at 200 places")
    func flips() throws {
        #expect(problems().isEmpty)
        var random = TestRandom(seed: 4)
        for round in 0..<200 {
            let path = files[round % files.count]
            let bytes = try fileBytes(path)
            var damaged = bytes
            let position = random.below(bytes.count)
            damaged[position] ^= UInt8(1 + random.below(255))
            try overwrite(path, damaged)
            #expect(problems().contains { $0.file == path }, "\(path), byte \(position)")
            try overwrite(path, bytes)
        }
        #expect(problems().isEmpty)
    }

    @Test("Every truncation and every extension is found")
    func lengths() throws {
        var random = TestRandom(seed: 5)
        for path in files {
            let bytes = try fileBytes(path)
            for count in [0, bytes.count - 1] + (0..<8).map({ _ in random.below(bytes.count) }) {
                try overwrite(path, Array(bytes.prefix(count)))
                #expect(problems().contains { $0.file == path }, "\(path) of \(count) bytes")
            }
            try overwrite(path, bytes + [0])
            #expect(problems().contains { $0.file == path }, "\(path) and one byte")
            try overwrite(path, bytes)
        }
        #expect(problems().isEmpty)
    }

    @Test("A missing file is found")
    func missing() throws {
        for path in files {
            let bytes = try fileBytes(path)
            unlink(path)
            #expect(problems().contains { $0.file == path }, "\(path)")
            try overwrite(path, bytes)
        }
        #expect(problems().isEmpty)
    }

    @Test("Files of another epoch do not pass for this one's")
    func exchanged() throws {
        let other = SampleEpoch.files(
            of: try SampleEpoch.write(store, "job", 2, nodes: 2, seed: 99).folder, nodes: 2)
        for (path, foreign) in zip(files, other) where !path.hasSuffix("/manifest") {
            let bytes = try fileBytes(path)
            try overwrite(path, try fileBytes(foreign))
            #expect(problems().contains { $0.file == path }, "\(path)")
            try overwrite(path, bytes)
        }
        #expect(problems().isEmpty)
    }

    @Test("Another epoch's manifest does not pass for this one's")
    func foreignManifest() throws {
        let other = try SampleEpoch.write(store, "job", 2, nodes: 2, seed: 99).folder
        try overwrite(files.last!, try fileBytes(other + "/manifest"))
        #expect(!problems().isEmpty)
    }

    @Test("An inventory's block checksums belong to the manifest")
    func forgedInventory() throws {
        // Both node folders carry intact files with fitting inventories, of the wrong node.
        let pairs = zip(files.prefix(3), files.dropFirst(3).prefix(3))
        for (a, b) in pairs {
            let first = try fileBytes(a)
            let second = try fileBytes(b)
            try overwrite(a, second)
            try overwrite(b, first)
        }
        #expect(!problems().isEmpty)
    }

    @Test("Reading hands nothing out that is damaged")
    func reading() throws {
        let reader = try ImageReader(store: store, job: "job", epoch: 1)
        let file = try reader.inventory().blockFiles[0]
        let path = files[1]
        var bytes = try fileBytes(path)
        bytes[65536 + 77] ^= 1
        try overwrite(path, bytes)
        let blocks = try reader.blocks(file)
        let buffer = AlignedBuffer(bytes: 65536)
        try blocks.read(at: 0, into: buffer.prefix(65536))
        let error = #expect(throws: ImageError.self) { try blocks.read(at: 65536, into: buffer.prefix(65536)) }
        #expect(error?.file == path)
        #expect(error?.reason.contains("block 1") == true)
        #expect(throws: ImageError.self) { try blocks.contents() }
    }
}
