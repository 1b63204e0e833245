// SPDX-License-Identifier: Apache-2.0
import CheckpointImage
import Glibc
import ImageStore
import LinuxSystem

/// Regular files, directories and devices: content first, then descriptions.
struct FileRestore {
    let context: RestoreContext

    /// Flags that say how to create or find a file, not how the description behaves.
    static let openOnly: Int32 = O_CREAT | O_EXCL | O_TRUNC | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC
    private static let largeFile: Int32 = 0o100000

    // MARK: contents

    /// Reads and checks everything that `restoreContents` will put into files of the job's: those
    /// on disk must stay as they are if the image is damaged.
    func verifyContents() throws {
        let buffer = AlignedBuffer(bytes: 1 << 20)
        for file in context.inventory.savedFiles where !file.sizeOnly {
            let reader = try context.reader.blocks(context.inventory.blockFiles[Int(file.blockFile)])
            try BlockSpread(reader: reader, extents: file.extents, size: file.sizeBytes)
                .forEachChunk(buffer) { _, _ in }
        }
    }

    /// Brings every saved file to its state at the cut.
    func restoreContents() throws {
        for (i, file) in context.inventory.savedFiles.enumerated() {
            context.saved.append(try restore(file, index: i))
        }
    }

    private func restore(_ file: ImageSavedFile, index: Int) throws -> RestoreContext.RestoredFile {
        if file.sizeOnly {
            var status = stat()
            guard stat(file.path, &status) == 0 else {
                throw RestoreError("\(file.path): was open at the checkpoint and is missing now")
            }
            guard UInt64(status.st_size) >= file.sizeBytes else {
                throw RestoreError(
                    "\(file.path): has \(status.st_size) bytes, fewer than the \(file.sizeBytes) at the checkpoint"
                )
            }
            if UInt64(status.st_size) > file.sizeBytes {
                try Kernel.libc(Int(truncate(file.path, Int(file.sizeBytes))), "truncate \(file.path)")
            }
            return .init(path: file.path, temporary: false)
        }
        let path = file.deleted ? temporaryName(file.path, index) : file.path
        try makeParent(of: path, mode: 0o755)
        let existed = access(path, F_OK) == 0
        let target = try context.open(path, O_RDWR | O_CREAT, mode: mode_t(file.mode & 0o7777))
        if !existed {
            fchown(target.number, file.uid, file.gid)
            fchmod(target.number, mode_t(file.mode & 0o7777))
        }
        try fill(target, file)
        return .init(path: path, temporary: file.deleted)
    }

    private func temporaryName(_ path: String, _ index: Int) -> String {
        let folder = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "/tmp"
        let usable = access(folder.isEmpty ? "/" : folder, W_OK) == 0 ? folder : "/tmp"
        return "\(usable)/.fermata-\(getpid())-\(index)"
    }

    private func fill(_ target: Descriptor, _ file: ImageSavedFile) throws {
        try Kernel.libc(Int(ftruncate(target.number, 0)), "truncate \(file.path)")
        let block = context.inventory.blockFiles[Int(file.blockFile)]
        try BlockSpread(
            reader: context.reader.blocks(block), extents: file.extents, size: file.sizeBytes
        )
        .write(to: target)
        var times = [timespec(), timespec()]
        times[0].tv_nsec = 0x3fff_fffe  // UTIME_OMIT
        times[1].tv_sec = Int(file.modifiedNs / 1_000_000_000)
        times[1].tv_nsec = Int(file.modifiedNs % 1_000_000_000)
        futimens(target.number, times)
    }

    /// When every description is open, files that had no name lose it again.
    func removeTemporaryNames() {
        for file in context.saved where file.temporary { unlink(file.path) }
    }

    // MARK: descriptions

    func open(_ file: ImageOpenFile, _ regular: ImageRegularFile) throws -> Descriptor {
        // O_TMPFILE, which has O_DIRECTORY in it, says how the file came to be.
        let flags = Int32(bitPattern: file.flags) & ~(Self.openOnly | Self.largeFile | 0o20200000)
        let path = regular.saved ? context.saved[Int(regular.savedFile)].path : file.path
        let handle = try context.open(path, flags)
        if file.position != 0 { lseek(handle.number, Int(file.position), SEEK_SET) }
        return handle
    }

    func openDirectory(_ file: ImageOpenFile, _ directory: ImageDirectory) throws -> Descriptor {
        let path = FileCapture.name(file.path)
        if access(path, F_OK) != 0 { try make(directory, at: path) }
        let flags = Int32(bitPattern: file.flags) & ~(Self.openOnly | Self.largeFile)
        let handle = try context.open(path, flags | O_DIRECTORY)
        if directory.deleted { rmdir(path) }
        if file.position != 0 { lseek(handle.number, Int(file.position), SEEK_SET) }
        return handle
    }

    /// A directory without a name, or one that the job removed after the cut (rm -r at its end).
    private func make(_ directory: ImageDirectory, at path: String) throws {
        try makeFolders(path, mode: 0o755)
        chown(path, directory.uid, directory.gid)
        chmod(path, mode_t(directory.mode))
    }

    func openDevice(_ file: ImageOpenFile) throws -> Descriptor {
        try context.open(file.path, Int32(bitPattern: file.flags) & ~(Self.openOnly | Self.largeFile))
    }
}

/// Pages of a block file spread over a file of the job's.
struct BlockSpread {
    let reader: BlockFileReader
    let extents: [Extent]
    let size: UInt64

    init(reader: BlockFileReader, extents words: [UInt64], size: UInt64) throws {
        self.reader = reader
        self.size = size
        let page = UInt64(Format.pageBytes)
        guard
            let decoded = Extent.decode(
                words, objectPages: (size + page - 1) / page, filePages: (reader.size + page - 1) / page)
        else { throw ImageError(file: reader.path, reason: "extents in the inventory do not fit") }
        extents = decoded
    }

    /// Writes all extents and sets the size; the rest are holes.
    func write(to target: Descriptor) throws {
        try Kernel.libc(Int(ftruncate(target.number, Int(size))), "resize a restored file")
        let buffer = AlignedBuffer(bytes: 1 << 20)
        try forEachChunk(buffer) { bytes, offset in
            let count = min(UInt64(bytes.count), size - min(size, offset))
            try target.write(UnsafeRawBufferPointer(rebasing: bytes[0..<Int(count)]), at: Int64(offset))
        }
    }

    /// Verified pieces of the extents: (bytes, offset within the object).
    func forEachChunk(
        _ buffer: AlignedBuffer, _ body: (UnsafeRawBufferPointer, UInt64) throws -> Void
    ) throws {
        let page = UInt64(Format.pageBytes)
        let block = UInt64(Format.blockBytes)
        for extent in extents {
            var position = extent.position * page
            let end = position + extent.count * page
            let shift = Int64(extent.first * page) - Int64(position)
            while position < end {
                let from = position / block * block
                let until = min(
                    min(from + UInt64(buffer.count), (end + block - 1) / block * block), reader.size)
                let bytes = buffer.prefix(Int(until - from))
                try reader.read(at: from, into: bytes)
                let stop = min(until, end)
                try body(
                    UnsafeRawBufferPointer(
                        rebasing: UnsafeRawBufferPointer(bytes)[Int(position - from)..<Int(stop - from)]),
                    UInt64(Int64(position) + shift))
                position = stop
            }
        }
    }
}
