// SPDX-License-Identifier: Apache-2.0
import CheckpointImage
import Foundation
import SwiftProtobuf
import Testing

/// The envelope of metadata files: anything but an intact frame is refused, with the file's name.
@Suite struct FrameTests {
    private static let message = ImageManifest.with {
        $0.job = "job"
        $0.epoch = 7
        $0.command = ["./solver", "--steps", "100"]
        $0.nodes = 2
        $0.files = [.with { $0.path = "node-0/inventory.pb"; $0.sizeBytes = 123; $0.checksum = .max }]
    }

    private func refusal(_ bytes: [UInt8]) -> ImageError? {
        do {
            _ = try Frame.decode(ImageManifest.self, from: bytes, file: "some/file")
            return nil
        } catch { return error as? ImageError ?? ImageError(file: "not an ImageError", reason: "\(error)") }
    }

    @Test func roundTrip() throws {
        let bytes = try Frame.encode(Self.message)
        #expect(try Frame.decode(ImageManifest.self, from: bytes, file: "f") == Self.message)
    }

    @Test func emptyMessage() throws {
        let bytes = try Frame.encode(ImageManifest())
        #expect(bytes.count == 32)
        #expect(try Frame.decode(ImageManifest.self, from: bytes, file: "f") == ImageManifest())
    }

    @Test("Every flipped bit is refused")
    func flippedBits() throws {
        let bytes = try Frame.encode(Self.message)
        for i in bytes.indices {
            for bit in 0..<8 {
                var damaged = bytes
                damaged[i] ^= 1 << bit
                #expect(refusal(damaged)?.file == "some/file", "byte \(i), bit \(bit)")
            }
        }
    }

    @Test("Every truncation is refused")
    func truncations() throws {
        let bytes = try Frame.encode(Self.message)
        for count in 0..<bytes.count {
            #expect(refusal(Array(bytes.prefix(count)))?.file == "some/file", "\(count) bytes")
        }
    }

    @Test("Anything at the end is refused")
    func extensions() throws {
        let bytes = try Frame.encode(Self.message)
        for count in 1...64 {
            #expect(refusal(bytes + [UInt8](repeating: 0, count: count))?.file == "some/file")
        }
        #expect(refusal(bytes + bytes)?.file == "some/file")
    }

    @Test("Another format's version is refused, and said")
    func versions() throws {
        for version in [0, Format.version + 1, .max] {
            let reason = try #require(refusal(try Frame.encode(Self.message, version: version))).reason
            #expect(reason.contains("version \(version)"))
        }
    }

    @Test("Noise is refused")
    func noise() {
        var random = TestRandom(seed: 1)
        for _ in 0..<2_000 {
            let bytes = (0..<random.below(200)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            #expect(refusal(bytes)?.file == "some/file")
        }
    }

    @Test("A payload that is not the message is refused")
    func otherMessage() throws {
        // Field 1 of Message is any bytes, of Manifest a text.
        let bytes = try Frame.encode(ImageMessage.with { $0.data = Data([0xff, 0xfe]) })
        do {
            _ = try Frame.decode(ImageManifest.self, from: bytes, file: "some/file")
            Issue.record("decoded")
        } catch let error as ImageError { #expect(error.file == "some/file") }
    }

    @Test func describesItself() {
        #expect(ImageError(file: "a/b", reason: "truncated").description == "a/b: truncated")
    }
}
