// SPDX-License-Identifier: Apache-2.0
import CLinux
import CheckpointImage
import Glibc
import LinuxSystem
import SwiftProtobuf

/// Writes one epoch: files in any order, then `commit`. Until then nothing refers to it, and
/// `discard` or the next attempt removes it. Methods may be called from any thread, one at a time
/// per file.
public final class EpochWriter: @unchecked Sendable {
    public let store: Store
    public let job: String
    public let epoch: UInt64
    public let folder: String
    private var files: [ImageManifestFile] = []

    /// Creates the epoch's folder, 0700. Throws `StoreUnusable`.
    public init(store: Store, job: String, epoch: UInt64, node: UInt32 = 0) throws {
        self.store = store
        self.job = job
        self.epoch = epoch
        folder = store.folder(job, epoch)
        do throws(SystemError) { try makeFolders(folder + "/" + Format.nodeFolder(node)) } catch {
            throw StoreUnusable(cause: error)
        }
    }

    public func blockFile(_ name: String, node: UInt32 = 0) throws -> BlockFileWriter {
        try BlockFileWriter(path: "\(folder)/\(Format.nodeFolder(node))/\(name)", name: name)
    }

    /// A finished block file takes its place in the manifest.
    public func add(_ file: ImageBlockFile, node: UInt32 = 0) {
        files.append(
            .with {
                $0.path = Format.nodeFolder(node) + "/" + file.name
                $0.sizeBytes = file.sizeBytes
                $0.checksum = checksum(Array(file.checksums))
                $0.blocks = true
            })
    }

    /// Writes a metadata file durably.
    public func write(_ message: some Message, name: String, node: UInt32 = 0) throws {
        let bytes = try Frame.encode(message)
        let path = Format.nodeFolder(node) + "/" + name
        try writeDurably(bytes, to: folder + "/" + path)
        files.append(
            .with {
                $0.path = path
                $0.sizeBytes = UInt64(bytes.count)
                $0.checksum = checksum(bytes)
            })
    }

    /// Makes the epoch exist: everything is synced, then the manifest is renamed into place and
    /// the folders that name it are synced.
    public func commit(_ manifest: ImageManifest, nodes: UInt32 = 1) throws {
        var manifest = manifest
        manifest.job = job
        manifest.epoch = epoch
        manifest.nodes = nodes
        manifest.files = files
        for node in 0..<nodes { try syncFolder(folder + "/" + Format.nodeFolder(node)) }
        let temporary = folder + "/manifest.partial"
        try writeDurably(try Frame.encode(manifest), to: temporary)
        let final = folder + "/" + Format.manifestName
        guard rename(temporary, final) == 0 else {
            throw SystemError(code: errno, operation: "rename \(final)")
        }
        try syncFolder(folder)
        try syncFolder(store.folder(job))
        try syncFolder(store.root)
    }

    public func discard() { store.remove(job, epoch) }

    private func writeDurably(_ bytes: [UInt8], to path: String) throws(SystemError) {
        let file = try Descriptor.open(path, O_WRONLY | O_CREAT | O_TRUNC, mode: 0o600)
        var outcome: SystemError?
        bytes.withUnsafeBytes { buffer in
            do throws(SystemError) { try file.write(buffer, at: 0) } catch { outcome = error }
        }
        if let outcome {
            throw SystemError(code: outcome.code, operation: "write \(path)")
        }
        try Kernel.libc(Int(fsync(file.number)), "fsync \(path)")
    }
}

/// A file of page data with a checksum per block. Several threads may write different chunks.
public final class BlockFileWriter: @unchecked Sendable {
    public let path: String
    public let name: String
    private let file: Descriptor
    private var checksums: [UInt64] = []

    init(path: String, name: String) throws {
        self.path = path
        self.name = name
        let flags = O_RDWR | O_CREAT | O_TRUNC
        // O_DIRECT where the file system has it: page data is written once and not read soon,
        // and it would push the application's own files out of the page cache.
        let direct: Int32 = 0o40000
        if let opened = try? Descriptor.open(path, flags | direct, mode: 0o600) {
            file = opened
        } else {
            file = try Descriptor.open(path, flags, mode: 0o600)
        }
    }

    /// Sets the final size and makes room for the checksums. Call before the first `write`.
    public func reserve(bytes: UInt64) throws(SystemError) {
        try Kernel.libc(Int(ftruncate(file.number, Int(bytes))), "resize \(path)")
        let blocks = (Int(bytes) + Format.blockBytes - 1) / Format.blockBytes
        checksums = [UInt64](repeating: 0, count: blocks)
        size = bytes
    }
    private var size: UInt64 = 0

    /// Writes `bytes` at `offset`, a multiple of the block size; the buffer is page-aligned and
    /// its length a multiple of pages. `runs`: byte ranges that hold anything but zeroes; the
    /// rest stays a hole.
    public func write(
        _ bytes: UnsafeRawBufferPointer, at offset: UInt64, runs: [Range<Int>]
    ) throws(SystemError) {
        for run in runs {
            do throws(SystemError) {
                try file.write(
                    UnsafeRawBufferPointer(rebasing: bytes[run]),
                    at: Int64(offset) + Int64(run.lowerBound))
            } catch {
                throw SystemError(code: error.code, operation: "write \(path)")
            }
        }
        var position = 0
        checksums.withUnsafeMutableBufferPointer { sums in
            while position < bytes.count {
                let end = min(position + Format.blockBytes, bytes.count)
                sums[(Int(offset) + position) / Format.blockBytes] =
                    checksum(UnsafeRawBufferPointer(rebasing: bytes[position..<end]))
                position = end
            }
        }
    }

    /// Syncs and describes the file.
    public func finish() throws(SystemError) -> ImageBlockFile {
        try Kernel.libc(Int(fsync(file.number)), "fsync \(path)")
        var result = ImageBlockFile()
        result.name = name
        result.sizeBytes = size
        result.blockBytes = UInt32(Format.blockBytes)
        result.checksums = .init(checksums.withUnsafeBytes { Array($0) })
        return result
    }
}
