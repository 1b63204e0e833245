// SPDX-License-Identifier: Apache-2.0
import CLinux
import CheckpointImage
import Foundation
import Glibc
import LinuxSystem
import Tracing

/// The address space of one frozen process, without the pages: those are read by `PageCopier`,
/// from the process itself or from its frozen copy.
struct MemoryCapture {
    let context: CaptureContext
    let process: StoppedProcess

    /// Madvise and mlock attributes of a mapping, as bits of `Mapping.flags` in the schema.
    enum Flag: UInt32, CaseIterable {
        case growsDown = 1, locked = 2, dontFork = 4, wipeOnFork = 8, huge = 16, noHuge = 32
        case mergeable = 64, dontDump = 128, noReserve = 256, lockedOnFault = 512, randomRead = 1024
        case sequentialRead = 2048

        /// The two letters in VmFlags of /proc/PID/smaps (fs/proc/task_mmu.c).
        var letters: String {
            switch self {
            case .growsDown: "gd"
            case .locked: "lo"
            case .dontFork: "dc"
            case .wipeOnFork: "wf"
            case .huge: "hg"
            case .noHuge: "nh"
            case .mergeable: "mg"
            case .dontDump: "dd"
            case .noReserve: "nr"
            case .lockedOnFault: "lf"
            case .randomRead: "rr"
            case .sequentialRead: "sr"
            }
        }

        /// What madvise(2) is told to set it again.
        var advice: Int32? {
            switch self {
            case .dontFork: 10
            case .wipeOnFork: 18
            case .huge: 14
            case .noHuge: 15
            case .mergeable: 12
            case .dontDump: 16
            case .randomRead: 1
            case .sequentialRead: 2
            default: nil
            }
        }
    }

    /// Describes all mappings. `brk` comes from a remote call of the caller's.
    func capture(brk: UInt64) throws -> ImageMemory {
        var memory = ImageMemory()
        let statistics = try ProcessStatistics(pid: process.anchor)
        var layout = statistics.layout
        layout.insert(brk, at: 5)
        memory.layout = layout
        memory.auxiliaryVector = Data(try ProcFS.read("/proc/\(process.anchor)/auxv"))
        for entry in try MappingEntry.list(process.anchor) where !process.isScratch(entry) {
            if entry.path.hasPrefix("[v") {
                if entry.path == "[vsyscall]" { continue }
                if memory.vdsoStart == 0 { memory.vdsoStart = entry.start }
                memory.vdsoBytes = entry.end - memory.vdsoStart
                continue
            }
            memory.mappings.append(contentsOf: try mappings(entry))
        }
        return memory
    }

    /// One mapping; two when Fermata's scratch memory was merged into it by the kernel.
    private func mappings(_ entry: MappingEntry) throws -> [ImageMapping] {
        guard let scratch = process.scratchRange, entry.inode == 0, entry.start <= scratch.lowerBound,
            scratch.upperBound <= entry.end
        else { return [try mapping(entry)] }
        var parts: [ImageMapping] = []
        for range in [entry.start..<scratch.lowerBound, scratch.upperBound..<entry.end]
        where !range.isEmpty {
            var part = entry
            part.offset += range.lowerBound - entry.start
            part.start = range.lowerBound
            part.end = range.upperBound
            parts.append(try mapping(part))
        }
        return parts
    }

    private func mapping(_ entry: MappingEntry) throws -> ImageMapping {
        var result = ImageMapping()
        result.start = entry.start
        result.bytes = entry.bytes
        result.protection = UInt32(entry.protection)
        result.shared = entry.shared
        result.offset = entry.offset
        if entry.path == "[stack]" { result.flags |= Flag.growsDown.rawValue }
        guard entry.isFile else {
            guard entry.path.isEmpty || entry.path.hasPrefix("[") else {
                throw context.refusal(mappingLimit(entry.path), process.pid, name(entry))
            }
            result.offset = 0
            return result
        }
        try describeFile(entry, &result)
        return result
    }

    private func mappingLimit(_ path: String) -> Limit {
        Limit(anonymousInode: path) ?? .deviceMapping
    }

    private func name(_ entry: MappingEntry) -> String {
        "mapping 0x\(String(entry.start, radix: 16)) (\(entry.path))"
    }

    private func describeFile(_ entry: MappingEntry, _ result: inout ImageMapping) throws {
        let key = MappedFile(device: entry.device, inode: entry.inode, path: entry.path)
        if !entry.shared, let known = context.privateMappings[key] {
            (result.backing, result.object) = known
            return
        }
        try openFile(entry, &result)
        if !entry.shared { context.privateMappings[key] = (result.backing, result.object) }
    }

    private func openFile(_ entry: MappingEntry, _ result: inout ImageMapping) throws {
        if entry.path.hasPrefix("anon_inode:") || entry.path.hasPrefix("/anon_hugepage")
            || entry.path.hasPrefix("socket:")
        {
            throw context.refusal(
                entry.path.contains("huge") ? .hugePages : mappingLimit(entry.path), process.pid,
                name(entry))
        }
        let range = "\(String(entry.start, radix: 16))-\(String(entry.end, radix: 16))"
        let handle = try mappedFile(entry, range)
        let status = try handle.status()
        guard status.st_mode & S_IFMT == S_IFREG else {
            // /dev/zero mapped privately is anonymous memory.
            if entry.path == "/dev/zero" && !entry.shared { result.offset = 0; return }
            throw context.refusal(.deviceMapping, process.pid, name(entry))
        }
        if fermata_filesystem_type(handle.number) == 0x9584_58f6 {  // HUGETLBFS_MAGIC
            throw context.refusal(.hugePages, process.pid, name(entry))
        }
        if entry.path.hasPrefix("/memfd:") || entry.path.hasPrefix("/dev/zero (deleted)")
            || entry.path.hasPrefix("/SYSV")
        {
            result.backing = .sharedMemory
            result.object = try SharedMemoryCapture(context).object(handle, link: entry.path)
            return
        }
        result.writableFile = entry.shared && mayWrite(range)
        if let saved = try FileCapture(context).save(
            handle, status, link: entry.path, pid: process.pid, written: result.writableFile)
        {
            result.backing = .openFile
            result.object = saved
        } else {
            result.backing = .file
            result.object = backing(status, entry.path)
        }
    }

    /// Through map_files, which only the initial user namespace's root may follow (proc(5)), or by
    /// the name, if that is still the same file.
    private func mappedFile(_ entry: MappingEntry, _ range: String) throws -> Descriptor {
        do throws(SystemError) {
            return try Descriptor.open("/proc/\(process.anchor)/map_files/\(range)", O_RDONLY)
        } catch {
            guard error.code == EPERM,
                let named = try? Descriptor.open("/proc/\(process.anchor)/root\(entry.path)", O_RDONLY),
                let status = try? named.status(), UInt64(status.st_ino) == entry.inode
            else { throw error }
            return named
        }
    }

    /// The link's own mode says how the file was opened (map_files in proc(5)).
    private func mayWrite(_ range: String) -> Bool {
        var link = stat()
        let path = "/proc/\(process.anchor)/map_files/\(range)"
        return lstat(path, &link) == 0 && link.st_mode & S_IWUSR != 0
    }

    private func backing(_ status: stat, _ path: String) -> UInt32 {
        let identity = FileIdentity(status)
        if let known = context.backingFiles[identity] { return known }
        let index = UInt32(context.inventory.backingFiles.count)
        context.inventory.backingFiles.append(
            .with {
                $0.path = path
                $0.sizeBytes = UInt64(status.st_size)
                $0.modifiedNs =
                    Int64(status.st_mtim.tv_sec) * 1_000_000_000 + Int64(status.st_mtim.tv_nsec)
            })
        context.backingFiles[identity] = index
        return index
    }

    /// mlockall(MCL_FUTURE) shows in nothing but new mappings, and Fermata's scratch is one.
    static func isScratchLocked(_ process: StoppedProcess) throws -> Bool {
        guard let scratch = process.scratchRange else { return false }
        return try MappingEntry.list(process.anchor, flags: true).contains {
            $0.start <= scratch.lowerBound && scratch.upperBound <= $0.end
                && $0.flags.contains(Flag.locked.letters)
        }
    }

    /// Adds what only smaps tells. It walks page tables, so it is read from the frozen copy in
    /// fork mode; exceptions are a copy's locks, which are not inherited, and protection keys of
    /// memory that the copy has not got. `absent`: what a mapping has that is not there.
    static func addFlags(_ memory: inout ImageMemory, from pid: pid_t, absent: Flag? = nil) throws {
        let entries = try MappingEntry.list(pid, flags: true)
        var next = 0
        for i in memory.mappings.indices {
            let start = memory.mappings[i].start
            while next < entries.count, entries[next].end <= start { next += 1 }
            guard next < entries.count, entries[next].start <= start else {
                memory.mappings[i].flags |= absent?.rawValue ?? 0
                continue
            }
            memory.mappings[i].protectionKey = entries[next].protectionKey
            for flag in Flag.allCases where entries[next].flags.contains(flag.letters) {
                memory.mappings[i].flags |= flag.rawValue
            }
        }
    }
}
