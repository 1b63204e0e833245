// SPDX-License-Identifier: Apache-2.0
import CheckpointImage
import Glibc
import LinuxSystem

/// Makes every open file description of the image that can be made outside its process.
struct OpenFileRestore {
    let context: RestoreContext

    /// Flags that F_SETFL can change afterwards (fcntl(2)).
    private static let settable: Int32 = O_APPEND | O_NONBLOCK | 0o40000 | 0o1000000

    func restoreAll() throws {
        let files = context.inventory.openFiles
        context.files = Array(repeating: nil, count: files.count)
        try FileRestore(context: context).restoreContents()
        try SharedMemoryRestore(context: context).restoreAll()
        try PipeRestore(context: context).restoreAll()
        let unix = UnixSocketRestore(context)
        try unix.restoreAll()
        try unix.connectDatagrams()
        try TCPRestore(context).restoreAll()
        try DatagramRestore(context: context).restoreAll()
        try TerminalRestore(context).restoreAll()
        for (i, file) in files.enumerated() where context.files[i] == nil {
            context.files[i] = try restore(file)
        }
        try unix.fillQueues()
        try setFlags()
        try LockRestore(context: context).restoreDescriptionLocks()
    }

    private func restore(_ file: ImageOpenFile) throws -> Descriptor? {
        let files = FileRestore(context: context)
        let events = EventRestore(context: context)
        switch file.kind {
        case .regular(let state)?: return try files.open(file, state)
        case .directory(let state)?: return try files.openDirectory(file, state)
        case .pathOnly?: return try context.open(file.path, Int32(bitPattern: file.flags) & ~O_CREAT)
        case .device?: return try files.openDevice(file)
        case .sharedMemory(let state)?:
            return try SharedMemoryRestore(context: context).open(file, state)
        case .netlink(let state)?: return try DatagramRestore(context: context).netlink(state)
        case .epoll?: return try events.epoll()
        case .eventfd(let state)?: return try events.eventfd(state)
        case .signalfd(let state)?: return try events.signalfd(state)
        case .timerfd(let state)?: return try events.timerfd(state)
        case .inotify(let state)?: return try events.inotify(state)
        case .pidfd(let state)?: return try events.pidfd(state)
        case .inherited(let state)?: return try inherited(state)
        default: return nil
        }
    }

    private func inherited(_ state: ImageInherited) throws -> Descriptor {
        guard let number = context.options.slots(state.slot) else {
            // Often one that leaked from a shell or a build tool; nobody has given another.
            return try Descriptor.open("/dev/null", O_RDWR)
        }
        let fd = fcntl(number, F_DUPFD_CLOEXEC, 10)
        try Kernel.libc(Int(fd), "take descriptor \(number)")
        return Descriptor(owning: fd)
    }

    private func setFlags() throws {
        for (i, file) in context.inventory.openFiles.enumerated() {
            guard let handle = context.files[i] else { continue }
            if case .inherited? = file.kind { continue }  // the outside's description is its own
            let wanted = Int32(bitPattern: file.flags) & Self.settable
            let current = fcntl(handle.number, F_GETFL)
            if current & Self.settable != wanted {
                _ = fcntl(handle.number, F_SETFL, (current & ~Self.settable) | wanted)
            }
            if file.signal != 0 { _ = fcntl(handle.number, 10, file.signal) }  // F_SETSIG
        }
    }
}
