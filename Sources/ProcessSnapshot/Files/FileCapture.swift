// SPDX-License-Identifier: Apache-2.0
import CLinux
import CheckpointImage
import Glibc
import LinuxSystem

/// Regular files, directories, devices and files of /proc.
struct FileCapture {
    let context: CaptureContext

    init(_ context: CaptureContext) { self.context = context }

    func capture(_ source: DescriptorSource, _ status: stat) throws -> ImageOpenFile {
        if source.link.hasPrefix("/memfd:") || source.link.hasPrefix("/dev/zero (deleted)")
            || source.link.hasPrefix("/SYSV")
        {
            let object = try SharedMemoryCapture(context).object(source.handle, link: source.link)
            return .with { $0.sharedMemory = .with { $0.object = object } }
        }
        switch status.st_mode & S_IFMT {
        case S_IFREG where source.link.hasPrefix("/proc/"): return try procFile(source)
        case S_IFDIR where source.link.hasPrefix("/proc/"): return try procFile(source)
        case S_IFREG: return try regular(source, status)
        case S_IFDIR:
            return .with {
                $0.directory = .with {
                    $0.deleted = source.link.hasSuffix(" (deleted)")
                    $0.mode = status.st_mode & 0o7777
                    ($0.uid, $0.gid) = (status.st_uid, status.st_gid)
                }
            }
        case S_IFCHR: return try characterDevice(source, status)
        default: throw context.refusal(.device, source.pid, source.name)
        }
    }

    // MARK: regular files

    private func regular(_ source: DescriptorSource, _ status: stat) throws -> ImageOpenFile {
        if source.link.hasPrefix("/dev/mqueue/") || isMessageQueue(source.handle) {
            throw context.refusal(.messageQueueFile, source.pid, source.name)
        }
        let writable = source.info.flags & O_ACCMODE != O_RDONLY
        var file = ImageRegularFile()
        file.sizeBytes = UInt64(status.st_size)
        if let index = try save(
            source.handle, status, link: source.link, pid: source.pid, written: writable,
            appendOnly: source.info.flags & O_APPEND != 0)
        {
            file.saved = true
            file.savedFile = index
        }
        return .with {
            $0.regular = file
            $0.path = Self.name(source.link)
        }
    }

    private func isMessageQueue(_ handle: Descriptor) -> Bool {
        fermata_filesystem_type(handle.number) == 0x1980_0202  // MQUEUE_MAGIC
    }

    static func name(_ link: String) -> String {
        link.hasSuffix(" (deleted)") ? String(link.dropLast(10)) : link
    }

    /// Notes that a file's content belongs to the image: deleted ones always, written ones by
    /// policy. Returns its index in `saved_files`, nil when it is left to the file system.
    func save(
        _ handle: Descriptor, _ status: stat, link: String, pid: pid_t, written: Bool,
        appendOnly: Bool = false
    ) throws -> UInt32? {
        let deleted = status.st_nlink == 0 || isGone(link, status)
        if deleted && status.st_nlink > 0 {
            if let other = otherName(link, status) {
                return try save(handle, status, link: other, pid: pid, written: true)
            }
            throw context.refusal(.lostName, pid, link)
        }
        guard deleted || (written && context.options.files != .none) else { return nil }
        let identity = FileIdentity(status)
        if let known = context.savedFiles[identity] {
            // Somebody may write anywhere in it: the size alone is not enough.
            if !appendOnly && context.options.files == .copy {
                context.inventory.savedFiles[Int(known)].sizeOnly = false
            }
            return known
        }
        let index = UInt32(context.inventory.savedFiles.count)
        context.inventory.savedFiles.append(
            .with {
                $0.path = Self.name(link)
                $0.mode = status.st_mode
                $0.uid = status.st_uid
                $0.gid = status.st_gid
                $0.deleted = deleted
                $0.device = UInt64(status.st_dev)
                $0.inode = UInt64(status.st_ino)
                $0.modifiedNs =
                    Int64(status.st_mtim.tv_sec) * 1_000_000_000 + Int64(status.st_mtim.tv_nsec)
                $0.sizeBytes = UInt64(status.st_size)
                $0.sizeOnly = !deleted && (appendOnly || context.options.files == .truncate)
            })
        // Read through /proc: the job's own descriptor may be write-only, and its offset moves
        // with every read.
        context.savedSources.append(
            try Descriptor.open("/proc/self/fd/\(handle.number)", O_RDONLY))
        context.savedFiles[identity] = index
        return index
    }

    /// Another name of the file in the folder it was opened in: sem_open(3) makes its files under
    /// a temporary name and links them.
    private func otherName(_ link: String, _ status: stat) -> String? {
        let folder = Self.name(link).lastIndex(of: "/").map { String(link[..<$0]) } ?? ""
        for name in (try? ProcFS.names(in: folder)) ?? [] {
            var candidate = stat()
            let path = folder + "/" + name
            if lstat(path, &candidate) == 0, FileIdentity(candidate) == FileIdentity(status) {
                return path
            }
        }
        return nil
    }

    /// Its name is gone, or belongs to another file by now.
    private func isGone(_ link: String, _ status: stat) -> Bool {
        guard link.hasSuffix(" (deleted)") else { return false }
        var now = stat()
        return stat(Self.name(link), &now) != 0 || FileIdentity(now) != FileIdentity(status)
    }

    // MARK: the rest

    private func procFile(_ source: DescriptorSource) throws -> ImageOpenFile {
        let parts = source.link.split(separator: "/", omittingEmptySubsequences: true).map(String.init)
        var file = ImageProcFile()
        // The kernel shows the reader's view of pids: translated back to the job's.
        var rest = parts.dropFirst()
        if context.view.isPod, let first = rest.first, let pid = pid_t(first) {
            // The pod's own /proc, which names processes as the job does.
            file.pid = UInt32(pid)
            rest = rest.dropFirst()
            if rest.first == "task", let tid = rest.dropFirst().first.flatMap({ UInt32($0) }) {
                file.tid = tid
                rest = rest.dropFirst(2)
            }
        } else if let first = rest.first, let pid = pid_t(first) {
            guard context.processes.contains(where: { $0.pid == pid }) else {
                throw context.refusal(.processOutside, source.pid, source.name)
            }
            file.pid = UInt32(context.inner(pid))
            rest = rest.dropFirst()
            if rest.first == "task", let tid = rest.dropFirst().first.flatMap({ pid_t($0) }) {
                file.tid = UInt32(innerThread(pid, tid))
                rest = rest.dropFirst(2)
            }
        }
        file.rest = rest.joined(separator: "/")
        return .with { $0.proc = file }
    }

    private func innerThread(_ pid: pid_t, _ tid: pid_t) -> pid_t {
        (try? ProcessStatus("/proc/\(pid)/task/\(tid)"))?.namespacePids.last ?? tid
    }

    /// Memory devices have no state; terminals are captured by their own kind.
    private static let stateless: Set<UInt32> = [3, 5, 7, 8, 9]  // null zero full random urandom

    private func characterDevice(_ source: DescriptorSource, _ status: stat) throws -> ImageOpenFile {
        let major = fermata_major(UInt64(status.st_rdev))
        let minor = fermata_minor(UInt64(status.st_rdev))
        if major == 1 && Self.stateless.contains(minor) {
            return .with {
                $0.device = .with {
                    $0.major = major; $0.minor = minor
                }
            }
        }
        if major == 5 && (minor == 0 || minor == 2) || (136...143).contains(major) {
            return try TerminalCapture(context).capture(source, major: major, minor: minor)
        }
        throw context.refusal(.device, source.pid, source.name)
    }
}
