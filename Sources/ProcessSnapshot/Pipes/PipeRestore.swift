// SPDX-License-Identifier: Apache-2.0
import CheckpointImage
import Glibc
import ImageStore
import LinuxSystem

/// Pipes and FIFOs with their content. One pipe per id; further descriptions of an end are
/// opened through /proc/self/fd.
struct PipeRestore {
    let context: RestoreContext

    /// Fills `context.files` for every pipe in the inventory.
    func restoreAll() throws {
        var groups: [UInt64: [Int]] = [:]
        for (i, file) in context.inventory.openFiles.enumerated() {
            if case .pipe(let pipe)? = file.kind { groups[pipe.id, default: []].append(i) }
        }
        for members in groups.values { try restore(members.sorted()) }
    }

    private func restore(_ members: [Int]) throws {
        let first = context.inventory.openFiles[members[0]]
        let packetMode = members.contains {
            let file = context.inventory.openFiles[$0]
            return file.pipe.packets.count > 1 || file.flags & 0o40000 != 0  // O_DIRECT
        }
        var ends: (read: Descriptor, write: Descriptor)
        if first.pipe.fifo {
            let path = first.pipe.deleted ? first.path + ".fermata-\(getpid())" : first.path
            if access(path, F_OK) != 0 {
                try makeParent(of: path, mode: 0o755)
                try Kernel.libc(Int(mkfifo(path, 0o600)), "make the FIFO \(path)")
            }
            let both = try context.open(path, O_RDWR | O_NONBLOCK)  // fifo(7): never blocks
            if first.pipe.deleted { unlink(path) }
            ends = (both, both)
        } else {
            ends = try Descriptor.pipe(flags: O_NONBLOCK | (packetMode ? 0o40000 : 0))
        }
        _ = fcntl(ends.write.number, 1031, Int32(first.pipe.capacityBytes))  // F_SETPIPE_SZ
        if let full = members.map({ context.inventory.openFiles[$0].pipe }).first(where: {
            !$0.content.isEmpty
        }) {
            try fill(ends.write, full)
        }
        var used: Set<Int32> = []
        for index in members {
            let file = context.inventory.openFiles[index]
            let access = Int32(bitPattern: file.flags) & O_ACCMODE
            let end = access == O_RDONLY ? ends.read : ends.write
            if !first.pipe.fifo, access != O_RDWR, used.insert(end.number).inserted {
                context.files[index] = end
            } else {
                context.files[index] = try Descriptor.open(
                    "/proc/self/fd/\(end.number)", access | O_NONBLOCK)
            }
        }
    }

    private func fill(_ end: Descriptor, _ pipe: ImagePipe) throws {
        let content = Array(pipe.content)
        var position = 0
        for size in pipe.packets.map(Int.init) {
            let n = content.withUnsafeBytes { write(end.number, $0.baseAddress! + position, size) }
            guard n == size else {
                throw SystemError(
                    code: n < 0 ? errno : EAGAIN, operation: "refill a pipe with \(size) bytes")
            }
            position += size
        }
    }
}
