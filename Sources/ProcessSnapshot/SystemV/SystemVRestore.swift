// SPDX-License-Identifier: Apache-2.0
import CheckpointImage
import Glibc
import ImageStore
import LinuxSystem

/// System V objects in the pod's IPC namespace, with the ids they had: the kernel takes the next
/// id from /proc/sys/kernel/{shm,sem,msg}_next_id (CONFIG_CHECKPOINT_RESTORE). Runs on a thread
/// that is in that namespace.
struct SystemVRestore: Sendable {
    let inventory: ImageInventory
    let reader: ImageReader

    private static let create = 0o1000 | 0o2000  // IPC_CREAT | IPC_EXCL

    func restoreAll() throws {
        for object in inventory.sharedMemory where object.kind == .systemV { try segment(object) }
        for set in inventory.semaphoreSets { try semaphores(set) }
        for queue in inventory.messageQueues { try messages(queue) }
    }

    private func wantID(_ kind: String, _ id: Int32) throws {
        let file = try Descriptor.open("/proc/sys/kernel/\(kind)_next_id", O_WRONLY)
        let text = "\(id)"
        try Kernel.libc(write(file.number, text, text.utf8.count), "set \(kind)_next_id")
    }

    private func expect(_ made: Int, _ id: Int32, _ what: String) throws {
        try Kernel.check(made, "create \(what) \(id)")
        guard made == Int(id) else { throw RestoreError("\(what) \(id) cannot have its id again") }
    }

    private func segment(_ object: ImageSharedMemory) throws {
        try wantID("shm", object.systemVID)
        let made = Kernel.raw(
            .shmget, Int(Int32(bitPattern: object.systemVKey)), Int(object.sizeBytes),
            Self.create | Int(object.mode & 0o777))
        try expect(made, object.systemVID, "shared memory segment")
        let address = Kernel.raw(.shmat, made, 0, 0)
        try Kernel.check(address, "attach segment \(object.systemVID)")
        let base = UnsafeMutableRawPointer(bitPattern: address)!
        let block = inventory.blockFiles[Int(object.pagesFile)]
        let spread = try BlockSpread(
            reader: reader.blocks(block), extents: object.extents, size: object.sizeBytes)
        try spread.forEachChunk(AlignedBuffer(bytes: 1 << 20)) { bytes, offset in
            let count = min(bytes.count, Int(object.sizeBytes) - Int(offset))
            (base + Int(offset)).copyMemory(from: bytes.baseAddress!, byteCount: count)
        }
        _ = Kernel.raw(.shmdt, address)
    }

    /// Once every process has attached: segments that had been removed are removed again.
    func removeSegments() {
        for object in inventory.sharedMemory where object.kind == .systemV && object.removed {
            _ = Kernel.raw(.shmctl, Int(object.systemVID), 0, 0)  // IPC_RMID
        }
    }

    private func semaphores(_ set: ImageSemaphoreSet) throws {
        try wantID("sem", set.id)
        let made = Kernel.raw(
            .semget, Int(Int32(bitPattern: set.key)), set.values.count,
            Self.create | Int(set.mode & 0o777))
        try expect(made, set.id, "semaphore set")
        for (i, value) in set.values.enumerated() {
            try Kernel.check(Kernel.raw(.semctl, made, i, 16, Int(value)), "set a semaphore")  // SETVAL
        }
    }

    private func messages(_ queue: ImageMessageQueue) throws {
        try wantID("msg", queue.id)
        let made = Kernel.raw(
            .msgget, Int(Int32(bitPattern: queue.key)), Self.create | Int(queue.mode & 0o777))
        try expect(made, queue.id, "message queue")
        for message in queue.messages {
            let raw = bytes(of: message.type) + Array(message.data)
            let result = raw.withUnsafeBytes {
                Kernel.raw(.msgsnd, made, Int(bitPattern: $0.baseAddress), message.data.count, 0o4000)
            }
            try Kernel.check(result, "refill message queue \(queue.id)")
        }
    }
}
