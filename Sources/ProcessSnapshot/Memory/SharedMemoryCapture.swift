// SPDX-License-Identifier: Apache-2.0
import CheckpointImage
import Glibc
import LinuxSystem

/// Memory objects without a file system name: MAP_SHARED|MAP_ANONYMOUS, memfd_create(2) and
/// System V segments. Each is captured once, however many processes map it.
struct SharedMemoryCapture {
    let context: CaptureContext

    init(_ context: CaptureContext) { self.context = context }

    /// Index in `shared_memory` of the object behind an open descriptor.
    func object(_ handle: Descriptor, link: String) throws -> UInt32 {
        let status = try handle.status()
        let identity = FileIdentity(status)
        if let known = context.sharedObjects[identity] { return known }
        let index = UInt32(context.inventory.sharedMemory.count)
        var object = ImageSharedMemory()
        object.sizeBytes = UInt64(status.st_size)
        object.mode = status.st_mode
        object.uid = status.st_uid
        object.gid = status.st_gid
        object.device = identity.device
        object.inode = identity.inode
        if link.hasPrefix("/memfd:") {
            object.kind = .memfd
            object.name = String(FileCapture.name(link).dropFirst(7))
            object.seals = UInt32(max(0, fcntl(handle.number, 1034)))  // F_GET_SEALS
            if object.name == Self.anonymousName { object.kind = .anonymous }
        } else if link.hasPrefix("/SYSV") {
            object.kind = .systemV
            try describeSegment(&object, inode: identity.inode)
        }
        context.inventory.sharedMemory.append(object)
        context.sharedSources.append(try Descriptor.open("/proc/self/fd/\(handle.number)", O_RDONLY))
        context.sharedObjects[identity] = index
        return index
    }

    /// Under this memfd name MAP_SHARED|MAP_ANONYMOUS memory is rebuilt at restart, so that
    /// several processes can map it again.
    static let anonymousName = "fermata-shared"

    /// shmid is the segment's inode number (shm_open.. ipc/shm.c, newseg).
    private func describeSegment(_ object: inout ImageSharedMemory, inode: UInt64) throws {
        object.systemVID = Int32(truncatingIfNeeded: inode)
        guard
            let row = SystemVTable.rows("shm", in: context.view).first(where: {
                $0["shmid"] == Int64(object.systemVID)
            })
        else { return }
        object.systemVKey = UInt32(truncatingIfNeeded: row["key"] ?? 0)
        let permissions = UInt32(row["perms"] ?? 0)
        object.mode = permissions & 0o777
        object.removed = permissions & 0o1000 != 0  // SHM_DEST
        object.sizeBytes = UInt64(row["size"] ?? Int64(object.sizeBytes))
        object.uid = UInt32(row["uid"] ?? 0)
        object.gid = UInt32(row["gid"] ?? 0)
    }
}
