// SPDX-License-Identifier: Apache-2.0
import CheckpointImage
import Foundation
import Glibc
import LinuxSystem

/// /proc/sysvipc (sysvipc(7)) as rows of named numbers.
enum SystemVTable {
    static func rows(_ kind: String, in view: JobView) -> [[String: Int64]] {
        guard let text = try? InIPCNamespace.of(view, { try ProcFS.read("/proc/sysvipc/\(kind)") })
        else { return [] }
        let lines = text.split(separator: 10)
        guard let header = lines.first, lines.count > 1 else { return [] }
        let names = header.split(separator: 32).map(\.text)
        return lines.dropFirst().map { line in
            var scanner = ByteScanner(line)
            var row: [String: Int64] = [:]
            for name in names {
                scanner.skipBlanks()
                row[name] = name == "perms" ? Int64(scanner.octal()) : scanner.signed()
            }
            return row
        }
    }
}

/// Runs a closure on a thread that is in the job's IPC namespace.
enum InIPCNamespace {
    static func of<Value: Sendable>(
        _ view: JobView, _ body: @escaping @Sendable () throws -> Value
    ) throws -> Value {
        guard view.isPod else { return try body() }
        let namespace = try Descriptor.open("/proc/\(view.reaper)/ns/ipc", O_RDONLY)
        return try Parallel.Task<Value> {
            try Kernel.call(.setns, Int(namespace.number), 0x0800_0000, what: "enter the IPC namespace")
            return try body()
        }.join()
    }
}

/// Semaphore sets and message queues that the job's processes made or used (semctl(2),
/// msgctl(2)). Segments come with the mappings.
///
/// The kernel does not say which process made an object. A pod's IPC namespace holds the job's
/// only; natively, objects that the job's users made since it began count as its own.
struct SystemVCapture {
    let context: CaptureContext
    private var users: Set<UInt32> = []

    init(context: CaptureContext) { self.context = context }

    private func isOurs(_ row: [String: Int64]) -> Bool {
        if context.view.isPod { return true }
        let creator = UInt32(truncatingIfNeeded: row["cuid"] ?? -1)
        return users.contains(creator) && (row["ctime"] ?? 0) >= context.view.startedSeconds
    }

    /// Segments that nobody has attached at this moment; the others come with the mappings.
    private func segments() throws {
        let known = Set(context.inventory.sharedMemory.filter { $0.kind == .systemV }.map(\.systemVID))
        for row in SystemVTable.rows("shm", in: context.view) where isOurs(row) {
            let id = Int32(truncatingIfNeeded: row["shmid"] ?? -1)
            guard !known.contains(id), row["nattch"] == 0 else { continue }
            guard let handle = try unlessGone({ try open(segment: id) }) else { continue }
            _ = try SharedMemoryCapture(context).object(handle, link: "/SYSV")
        }
    }

    private func open(segment id: Int32) throws -> Descriptor {
        try InIPCNamespace.of(context.view) {
            let readOnly = 0o10000  // SHM_RDONLY
            let address = Kernel.raw(.shmat, Int(id), 0, readOnly)
            try Kernel.check(address, "attach segment \(id)")
            defer { _ = Kernel.raw(.shmdt, address) }
            guard
                let entry = try MappingEntry.list(getpid()).first(where: { $0.start == UInt64(address) })
            else { throw SystemError(code: EIO, operation: "find segment \(id)") }
            let range = "\(String(entry.start, radix: 16))-\(String(entry.end, radix: 16))"
            return try Descriptor.open("/proc/self/map_files/\(range)", O_RDONLY)
        }
    }

    /// nil when the object was removed, or a message taken: this job stands still, so it was somebody
    /// else's after all.
    private func unlessGone<Result>(_ body: () throws -> Result) throws -> Result? {
        do { return try body() } catch let error as SystemError
            where [EINVAL, EIDRM, ENOMSG].contains(error.code)
        { return nil }
    }

    mutating func capture() throws {
        let members = Set(context.processes.map { Int64(context.inner($0.pid)) })
        users = Set(context.processes.compactMap { try? ProcessStatus("/proc/\($0.anchor)").uids[1] })
        try segments()
        for row in SystemVTable.rows("sem", in: context.view) {
            let id = Int32(row["semid"] ?? 0)
            let count = Int(row["nsems"] ?? 0)
            let lastUsers = try semaphores(id, count, operation: 11)  // GETPID
            guard isOurs(row) || lastUsers.contains(where: { members.contains(Int64($0)) })
            else { continue }
            let values = try semaphores(id, count, operation: 12)  // GETVAL
            context.inventory.semaphoreSets.append(
                .with {
                    $0.id = id
                    $0.key = UInt32(truncatingIfNeeded: row["key"] ?? 0)
                    $0.mode = UInt32(row["perms"] ?? 0)
                    $0.uid = UInt32(row["uid"] ?? 0)
                    $0.gid = UInt32(row["gid"] ?? 0)
                    $0.values = values
                })
        }
        for row in SystemVTable.rows("msg", in: context.view) {
            guard
                isOurs(row) || members.contains(row["lspid"] ?? 0) || members.contains(row["lrpid"] ?? 0)
            else { continue }
            guard let queue = try unlessGone({ try queue(row) }) else { continue }
            context.inventory.messageQueues.append(queue)
        }
    }

    private func semaphores(_ id: Int32, _ count: Int, operation: Int32) throws -> [UInt32] {
        try InIPCNamespace.of(context.view) {
            (0..<count).map {
                UInt32(truncatingIfNeeded: max(0, Kernel.raw(.semctl, Int(id), $0, Int(operation))))
            }
        }
    }

    /// MSG_COPY (msgrcv(2)) reads the n-th message and leaves it there.
    private func queue(_ row: [String: Int64]) throws -> ImageMessageQueue {
        let id = Int32(row["msqid"] ?? 0)
        let count = Int(row["qnum"] ?? 0)
        let messages = try InIPCNamespace.of(context.view) { () throws -> [(Int64, [UInt8])] in
            try (0..<count).map { n in
                var buffer = [UInt8](repeating: 0, count: 65536 + 8)
                let copy = 0o40000 | 0o4000  // MSG_COPY | IPC_NOWAIT
                let length = buffer.withUnsafeMutableBytes {
                    Kernel.raw(.msgrcv, Int(id), Int(bitPattern: $0.baseAddress), 65536, n, copy)
                }
                try Kernel.check(length, "copy message \(n) of queue \(id)")
                return (value(Int64.self, from: buffer), Array(buffer[8..<(8 + length)]))
            }
        }
        let capacity = try InIPCNamespace.of(context.view) { () throws -> UInt64 in
            var s = msqid_ds()
            _ = withUnsafeMutablePointer(to: &s) {
                Kernel.raw(.msgctl, Int(id), Int(IPC_STAT), Int(bitPattern: $0))
            }
            return UInt64(s.msg_qbytes)
        }
        return .with {
            $0.id = id
            $0.key = UInt32(truncatingIfNeeded: row["key"] ?? 0)
            $0.mode = UInt32(row["perms"] ?? 0)
            $0.uid = UInt32(row["uid"] ?? 0)
            $0.gid = UInt32(row["gid"] ?? 0)
            $0.capacityBytes = capacity
            $0.messages = messages.map { m in
                .with {
                    $0.type = m.0; $0.data = Data(m.1)
                }
            }
        }
    }
}
