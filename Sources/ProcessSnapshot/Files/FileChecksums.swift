// SPDX-License-Identifier: Apache-2.0
import CheckpointImage
import Glibc
import LinuxSystem
import Synchronization

/// XXH3-64 of whole files, remembered as long as size and modification time stay the same.
final class FileChecksums: Sendable {
    static let shared = FileChecksums()

    private struct Key: Hashable { let path: String; let size: UInt64; let modified: Int64 }
    private let known = Mutex<[Key: UInt64]>([:])

    func checksum(_ file: ImageBackingFile) throws -> UInt64 {
        let key = Key(path: file.path, size: file.sizeBytes, modified: file.modifiedNs)
        if let value = known.withLock({ $0[key] }) { return value }
        let value = try Self.compute(file.path)
        known.withLock { $0[key] = value }
        return value
    }

    /// Maps the file: shared libraries are in the page cache anyway.
    static func compute(_ path: String) throws(SystemError) -> UInt64 {
        let file = try Descriptor.open(path, O_RDONLY)
        let size = Int(try file.status().st_size)
        guard size > 0 else { return CheckpointImage.checksum([]) }
        guard let base = mmap(nil, size, PROT_READ, MAP_PRIVATE, file.number, 0), base != MAP_FAILED
        else {
            throw SystemError(code: errno, operation: "map \(path)")
        }
        defer { munmap(base, size) }
        return CheckpointImage.checksum(UnsafeRawBufferPointer(start: base, count: size))
    }
}
