// SPDX-License-Identifier: Apache-2.0
import CheckpointImage
import Glibc
import ImageStore
import LinuxSystem

/// A folder of its own for one test, gone with the last reference.
final class TemporaryFolder {
    let path: String

    init() throws {
        var template = Array("/tmp/fermata-test-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw SystemError(code: errno, operation: "mkdtemp") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { removeTree(path) }

    var store: Store { Store(root: path + "/store") }
}

/// Epochs as capture writes them: two block files, one of them with holes, and an inventory.
struct SampleEpoch {
    static let sizes: [UInt64] = [5 * 65536 + 3 * 4096, 4096]

    @discardableResult
    static func write(
        _ store: Store, _ job: String, _ epoch: UInt64, nodes: UInt32 = 1, commit: Bool = true, seed: UInt64 = 1
    ) throws -> EpochWriter {
        let writer = try EpochWriter(store: store, job: job, epoch: epoch)
        var random = TestRandom(seed: seed)
        for node in 0..<nodes {
            try makeFolders(writer.folder + "/" + Format.nodeFolder(node))
            var inventory = ImageInventory()
            inventory.node = node
            for (k, size) in sizes.enumerated() {
                let file = try writer.blockFile("pages-\(k).raw", node: node)
                try file.reserve(bytes: size)
                let buffer = AlignedBuffer(bytes: Int(size))
                let all = buffer.prefix(Int(size))
                all.initializeMemory(as: UInt8.self, repeating: 0)
                var runs: [Range<Int>] = []
                for page in 0..<Int(size) / 4096 where page % 3 != 1 {
                    for i in 0..<4096 { all[page * 4096 + i] = UInt8(truncatingIfNeeded: random.next()) }
                    runs.append(page * 4096..<(page + 1) * 4096)
                }
                try file.write(UnsafeRawBufferPointer(all), at: 0, runs: runs)
                let description = try file.finish()
                inventory.blockFiles.append(description)
                writer.add(description, node: node)
            }
            try writer.write(inventory, name: Format.inventoryName, node: node)
        }
        if commit { try writer.commit(ImageManifest(), nodes: nodes) }
        return writer
    }

    static func files(of folder: String, nodes: UInt32 = 1) -> [String] {
        (0..<nodes).flatMap { node in
            ["inventory.pb", "pages-0.raw", "pages-1.raw"].map { "\(folder)/\(Format.nodeFolder(node))/\($0)" }
        } + [folder + "/manifest"]
    }
}

func fileBytes(_ path: String) throws -> [UInt8] { try Descriptor.open(path, O_RDONLY).readToEnd() }

func overwrite(_ path: String, _ bytes: [UInt8]) throws {
    let file = try Descriptor.open(path, O_WRONLY | O_CREAT | O_TRUNC, mode: 0o600)
    // Not `try` inside the closure: swiftc 6.3.1 crashes optimising it.
    let written = bytes.withUnsafeBytes { write(file.number, $0.baseAddress, $0.count) }
    guard written == bytes.count else { throw SystemError(code: errno, operation: "write \(path)") }
}

func fileExists(_ path: String) -> Bool { access(path, F_OK) == 0 }
