// SPDX-License-Identifier: Apache-2.0
import CheckpointImage
import Glibc
import ImageStore
import LinuxSystem

/// Memory objects that several processes map: as memfds, System V segments apart.
struct SharedMemoryRestore {
    let context: RestoreContext

    func restoreAll() throws {
        for object in context.inventory.sharedMemory {
            context.shared.append(object.kind == .systemV ? nil : try restore(object))
        }
    }

    private func restore(_ object: ImageSharedMemory) throws -> Descriptor {
        let name = object.kind == .memfd ? object.name : SharedMemoryCapture.anonymousName
        let fd = name.withCString {
            Kernel.raw(.memfdCreate, Int(bitPattern: $0), 1 | 2)  // MFD_CLOEXEC | MFD_ALLOW_SEALING
        }
        let handle = Descriptor(owning: Int32(try Kernel.check(fd, "memfd_create")))
        let block = context.inventory.blockFiles[Int(object.pagesFile)]
        try BlockSpread(
            reader: context.reader.blocks(block), extents: object.extents, size: object.sizeBytes
        ).write(to: handle)
        fchmod(handle.number, mode_t(object.mode & 0o7777))
        if object.kind == .memfd, object.seals != 0 {
            _ = fcntl(handle.number, 1033, Int32(bitPattern: object.seals))  // F_ADD_SEALS
        }
        return handle
    }

    /// A description of a memfd that a process holds: a new one with its own offset and flags.
    func open(_ file: ImageOpenFile, _ state: ImageSharedMemoryFile) throws -> Descriptor {
        guard let object = context.shared[Int(state.object)] else {
            throw RestoreError("a descriptor on a System V segment cannot be restored")
        }
        let handle = try Descriptor.open(
            "/proc/self/fd/\(object.number)", Int32(bitPattern: file.flags) & O_ACCMODE)
        if file.position != 0 { lseek(handle.number, Int(file.position), SEEK_SET) }
        return handle
    }
}
