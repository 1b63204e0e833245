// SPDX-License-Identifier: Apache-2.0
import CLinux
import CheckpointImage
import Glibc
import LinuxSystem

/// Reads one committed epoch. Nothing is handed out that has not been checked against a
/// checksum; every error names the file.
public struct ImageReader: Sendable {
    public let folder: String
    public let manifest: ImageManifest

    public init(store: Store, job: String, epoch: UInt64) throws {
        folder = store.folder(job, epoch)
        let path = folder + "/" + Format.manifestName
        manifest = try Frame.decode(ImageManifest.self, from: try Self.bytes(path), file: path)
    }

    public func inventory(node: UInt32 = 0) throws -> ImageInventory {
        let name = Format.nodeFolder(node) + "/" + Format.inventoryName
        let path = folder + "/" + name
        guard let entry = manifest.files.first(where: { $0.path == name }) else {
            throw ImageError(file: folder + "/manifest", reason: "does not name \(name)")
        }
        let content = try Self.bytes(path)
        guard UInt64(content.count) == entry.sizeBytes, checksum(content) == entry.checksum else {
            throw ImageError(
                file: path, reason: "checksum mismatch: the file is damaged or not of this epoch")
        }
        return try Frame.decode(ImageInventory.self, from: content, file: path)
    }

    public func blocks(_ file: ImageBlockFile, node: UInt32 = 0) throws -> BlockFileReader {
        try BlockFileReader(
            path: "\(folder)/\(Format.nodeFolder(node))/\(file.name)", description: file)
    }

    /// Reads every byte of the epoch; the problems found, each naming its file. Empty: intact.
    public func verify(progress: (UInt64) -> Void = { _ in }) -> [ImageError] {
        var problems: [ImageError] = []
        var known: Set<String> = []
        for node in 0..<max(1, manifest.nodes) {
            do {
                let inventory = try inventory(node: node)
                for file in inventory.blockFiles {
                    known.insert(Format.nodeFolder(node) + "/" + file.name)
                    problems += check(file, node: node, progress)
                }
            } catch let error as ImageError { problems.append(error) } catch {
                problems.append(ImageError(file: folder, reason: "\(error)"))
            }
        }
        for entry in manifest.files where entry.blocks && !known.contains(entry.path) {
            problems.append(ImageError(file: folder + "/" + entry.path, reason: "not in any inventory"))
        }
        return problems
    }

    private func check(
        _ file: ImageBlockFile, node: UInt32, _ progress: (UInt64) -> Void
    ) -> [ImageError] {
        do {
            let reader = try blocks(file, node: node)
            let buffer = AlignedBuffer(bytes: 1 << 20)
            var offset: UInt64 = 0
            while offset < file.sizeBytes {
                let n = min(UInt64(buffer.count), file.sizeBytes - offset)
                try reader.read(at: offset, into: buffer.prefix(Int(n)))
                offset += n
                progress(n)
            }
            return []
        } catch let error as ImageError { return [error] } catch {
            return [ImageError(file: file.name, reason: "\(error)")]
        }
    }

    private static func bytes(_ path: String) throws -> [UInt8] {
        do { return try Descriptor.open(path, O_RDONLY).readToEnd() } catch {
            throw ImageError(file: path, reason: String(cString: strerror(error.code)))
        }
    }
}

/// Random access to a block file, every block checked as it is read. Any thread.
public final class BlockFileReader: Sendable {
    public let path: String
    public let size: UInt64
    private let file: Descriptor
    private let checksums: [UInt64]

    init(path: String, description: ImageBlockFile) throws {
        self.path = path
        size = description.sizeBytes
        func damaged(_ reason: String) -> ImageError { ImageError(file: path, reason: reason) }
        do { file = try Descriptor.open(path, O_RDONLY) } catch {
            throw damaged(String(cString: strerror(error.code)))
        }
        let actual = UInt64(try file.status().st_size)
        guard actual == size else {
            throw damaged("\(actual) bytes instead of \(size): truncated or extended")
        }
        let blocks = (Int(size) + Format.blockBytes - 1) / Format.blockBytes
        guard description.blockBytes == UInt32(Format.blockBytes),
            description.checksums.count == blocks * 8
        else { throw damaged("the inventory's checksums do not fit the file") }
        checksums = description.checksums.withUnsafeBytes { raw in
            (0..<blocks).map { raw.loadUnaligned(fromByteOffset: $0 * 8, as: UInt64.self) }
        }
    }

    /// Fills `bytes` from `offset` (a multiple of the block size), whole blocks up to the end.
    /// Throws `ImageError` on any difference.
    public func read(at offset: UInt64, into bytes: UnsafeMutableRawBufferPointer) throws {
        precondition(offset % UInt64(Format.blockBytes) == 0)
        do { try file.read(into: bytes, at: Int64(offset)) } catch {
            throw ImageError(file: path, reason: String(cString: strerror(error.code)))
        }
        var position = 0
        while position < bytes.count {
            let end = min(position + Format.blockBytes, bytes.count)
            let block = (Int(offset) + position) / Format.blockBytes
            let part = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(bytes)[position..<end])
            guard checksum(part) == checksums[block] else {
                throw ImageError(
                    file: path,
                    reason:
                        "checksum mismatch in block \(block) (byte \(Int(offset) + position)): the file is damaged"
                )
            }
            position = end
        }
    }

    /// The whole content; for small files.
    public func contents() throws -> [UInt8] {
        var result = [UInt8](repeating: 0, count: Int(size))
        try result.withUnsafeMutableBytes { try read(at: 0, into: $0) }
        return result
    }
}

/// Page-aligned memory, as O_DIRECT and UFFDIO_COPY want it.
public final class AlignedBuffer: @unchecked Sendable {
    public let base: UnsafeMutableRawPointer
    public let count: Int

    public init(bytes: Int) {
        base = .allocate(byteCount: bytes, alignment: Format.pageBytes)
        count = bytes
    }

    deinit { base.deallocate() }

    public func prefix(_ bytes: Int) -> UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(start: base, count: bytes)
    }
}
