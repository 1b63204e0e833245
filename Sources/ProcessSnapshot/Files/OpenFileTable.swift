// SPDX-License-Identifier: Apache-2.0
import CheckpointImage
import Glibc
import LinuxSystem
import Tracing

/// Open file descriptions of the whole job, each captured once however many descriptors and
/// processes share it (kcmp(2), KCMP_FILE).
final class OpenFileTable {
    private unowned let context: CaptureContext
    /// Descriptions with the same visible attributes: candidates for being one.
    private var candidates: [Key: [(pid: pid_t, number: Int32, index: UInt32)]] = [:]
    private var pidfds: [pid_t: Descriptor] = [:]
    /// Work that needs all descriptions known: epoll targets, socket peers.
    var deferred: [() throws -> Void] = []

    private struct Key: Hashable {
        let link: String
        let flags: Int32
        let position: Int64
    }

    init(_ context: CaptureContext) { self.context = context }

    /// All descriptors of a process.
    func capture(_ pid: pid_t) throws -> [ImageDescriptor] {
        var result: [ImageDescriptor] = []
        for number in try ProcFS.numbers(in: "/proc/\(pid)/fd") {
            let info = try DescriptorInfo(pid: pid, descriptor: number)
            let index = try index(pid, number, info)
            result.append(
                .with {
                    $0.number = number
                    $0.closeOnExec = info.flags & O_CLOEXEC != 0
                    $0.openFile = index
                })
        }
        return result
    }

    /// Index of the description behind one descriptor, captured now if it is new.
    private func index(_ pid: pid_t, _ number: Int32, _ info: DescriptorInfo) throws -> UInt32 {
        let link = ProcFS.link("/proc/\(pid)/fd/\(number)") ?? ""
        let key = Key(link: link, flags: info.flags & ~O_CLOEXEC, position: info.position)
        for known in candidates[key] ?? [] {
            let same = Kernel.raw(.kcmp, Int(pid), Int(known.pid), 0, Int(number), Int(known.number))
            if same == 0 { return known.index }
        }
        let index = UInt32(context.inventory.openFiles.count)
        candidates[key, default: []].append((pid, number, index))
        context.inventory.openFiles.append(ImageOpenFile())
        let handle = try duplicate(pid, number)
        let source = DescriptorSource(
            pid: pid, number: number, link: link, info: info, handle: handle, index: index)
        var file = try capture(source)
        // A saved file may go by another name than the one it was opened under.
        if case .regular(let state)? = file.kind, state.saved {
            file.path = context.inventory.savedFiles[Int(state.savedFile)].path
        }
        file.flags = UInt32(bitPattern: info.flags & ~O_CLOEXEC)
        file.position = info.position
        if file.path.isEmpty { file.path = link }
        let owner = fcntl(handle.number, F_GETOWN)
        if owner > 0 { file.owner = context.inner(owner) }
        if owner < -1 { file.owner = -context.innerGroup(-owner) }
        file.signal = fcntl(handle.number, 11)  // F_GETSIG
        context.inventory.openFiles[Int(index)] = file
        return index
    }

    /// A descriptor that no process holds: in flight in a socket, or opened by Fermata to stand
    /// for a directory or an executable.
    func adopt(_ handle: Descriptor) throws -> UInt32 {
        let me = getpid()
        return try index(me, handle.number, DescriptorInfo(pid: me, descriptor: handle.number))
    }

    /// The same description in this process (pidfd_getfd(2)).
    private func duplicate(_ pid: pid_t, _ number: Int32) throws -> Descriptor {
        if pid == getpid() { return try Descriptor(owning: dup(number)).duplicate() }
        if pidfds[pid] == nil {
            pidfds[pid] = try Descriptor.ofThread(pid)
        }
        let fd = try Kernel.call(
            .pidfdGetfd, Int(pidfds[pid]!.number), Int(number),
            what: "take descriptor \(number) of process \(pid)")
        return Descriptor(owning: Int32(fd))
    }

    /// Any descriptor of the job on this description, for the deferred work.
    func index(of number: Int32, in pid: pid_t) throws -> UInt32? {
        guard let info = try? DescriptorInfo(pid: pid, descriptor: number) else { return nil }
        return try index(pid, number, info)
    }

    private func capture(_ source: DescriptorSource) throws -> ImageOpenFile {
        if let slot = context.inherited.slot(of: source.number, in: source.pid) {
            return .with { $0.inherited = .with { $0.slot = slot } }
        }
        let pathOnly: Int32 = 0o10000000  // O_PATH
        if source.info.flags & pathOnly != 0 {
            return .with {
                $0.pathOnly = ImagePathOnly(); $0.path = FileCapture.name(source.link)
            }
        }
        let status = try source.handle.status()
        switch status.st_mode & S_IFMT {
        case S_IFREG, S_IFDIR, S_IFLNK, S_IFBLK, S_IFCHR:
            return try FileCapture(context).capture(source, status)
        case S_IFIFO: return try PipeCapture.capture(source, status)
        case S_IFSOCK: return try SocketCapture(context).capture(source, status)
        default: return try EventCapture(context).capture(source)
        }
    }
}

/// One descriptor of the frozen job and what is known of it.
struct DescriptorSource {
    let pid: pid_t
    let number: Int32
    let link: String
    let info: DescriptorInfo
    let handle: Descriptor
    let index: UInt32

    var name: String { "descriptor \(number) (\(link))" }
}
