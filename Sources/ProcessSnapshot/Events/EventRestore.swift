// SPDX-License-Identifier: Apache-2.0
import CheckpointImage
import Glibc
import LinuxSystem
import Tracing

/// Kernel objects without a file. All but epoll's members are made outside the process.
struct EventRestore {
    let context: RestoreContext

    func eventfd(_ state: ImageEventCounter) throws -> Descriptor {
        let flags = O_CLOEXEC | O_NONBLOCK | (state.semaphore ? 1 : 0)
        let fd = try Kernel.call(.eventfd2, 0, Int(flags), what: "eventfd")
        let handle = Descriptor(owning: Int32(fd))
        var count = state.count
        if count > 0 { try Kernel.libc(write(handle.number, &count, 8), "set an eventfd") }
        return handle
    }

    func signalfd(_ state: ImageSignalDescriptor) throws -> Descriptor {
        var mask = state.mask
        let fd = withUnsafeMutablePointer(to: &mask) {
            Kernel.raw(.signalfd4, -1, Int(bitPattern: $0), 8, Int(O_CLOEXEC))
        }
        return Descriptor(owning: Int32(try Kernel.check(fd, "signalfd")))
    }

    /// The time left is relative, also for a timer that was set to an absolute time: clocks of
    /// the pod go on where they stopped.
    func timerfd(_ state: ImageTimerDescriptor) throws -> Descriptor {
        let fd = timerfd_create_raw(state.clock)
        let handle = Descriptor(owning: Int32(try Kernel.check(fd, "timerfd_create")))
        if state.remainingNs > 0 || state.intervalNs > 0 {
            var setting: [Int64] = [
                state.intervalNs / 1_000_000_000, state.intervalNs % 1_000_000_000,
                state.remainingNs / 1_000_000_000, state.remainingNs % 1_000_000_000,
            ]
            let result = setting.withUnsafeMutableBytes {
                Kernel.raw(.timerfdSettime, Int(handle.number), 0, Int(bitPattern: $0.baseAddress), 0)
            }
            try Kernel.check(result, "timerfd_settime")
        }
        var ticks = state.ticks
        if ticks > 0 { try handle.control(0x4008_5400, &ticks) }  // TFD_IOC_SET_TICKS
        return handle
    }

    private func timerfd_create_raw(_ clock: Int32) -> Int {
        Kernel.raw(.timerfdCreate, Int(clock), Int(O_CLOEXEC | O_NONBLOCK))
    }

    /// Watch descriptors are handed out in rising order: unused ones are made and removed.
    func inotify(_ state: ImageInotify) throws -> Descriptor {
        let fd = try Kernel.call(.inotifyInit1, Int(O_CLOEXEC | O_NONBLOCK), what: "inotify_init1")
        let handle = Descriptor(owning: Int32(fd))
        for watch in state.watches.sorted(by: { $0.descriptor < $1.descriptor }) {
            while true {
                let made = try add(handle, watch)
                if made == Int(watch.descriptor) { break }
                guard made < Int(watch.descriptor) else {
                    throw RestoreError(
                        "inotify watch \(watch.descriptor) on \(watch.path) cannot have its number again"
                    )
                }
                try Kernel.call(.inotifyRemoveWatch, Int(handle.number), made, what: "inotify_rm_watch")
            }
        }
        // Removing spare watches left IN_IGNORED events behind.
        var sink = [UInt8](repeating: 0, count: 4096)
        while read(handle.number, &sink, sink.count) > 0 {}
        return handle
    }

    private func add(_ handle: Descriptor, _ watch: ImageWatch) throws -> Int {
        let events = watch.mask & 0xe7000fff
        let result = watch.path.withCString {
            Kernel.raw(.inotifyAddWatch, Int(handle.number), Int(bitPattern: $0), Int(events))
        }
        return try Kernel.check(result, "watch \(watch.path)")
    }

    func pidfd(_ state: ImageProcessDescriptor) throws -> Descriptor {
        if let outer = context.outerPids[Int32(state.pid)], state.pid != 0 {
            let fd = try Kernel.call(.pidfdOpen, Int(outer), what: "pidfd_open \(state.pid)")
            return Descriptor(owning: Int32(fd))
        }
        // It had ended and was reaped: a descriptor of a process that has.
        let pid = fermata_spawn_ended()
        let fd = try Kernel.call(.pidfdOpen, Int(pid), what: "pidfd_open")
        var status: Int32 = 0
        waitpid(pid, &status, 0)
        return Descriptor(owning: Int32(fd))
    }

    private func fermata_spawn_ended() -> pid_t {
        var pid = pid_t()
        var arguments: [UnsafeMutablePointer<CChar>?] = [strdup("true"), nil]
        defer { free(arguments[0]) }
        posix_spawn(&pid, "/bin/true", nil, nil, &arguments, environ)
        return pid
    }

    func epoll() throws -> Descriptor {
        let fd = try Kernel.call(.epollCreate1, Int(O_CLOEXEC), what: "epoll_create1")
        return Descriptor(owning: Int32(fd))
    }

    /// Adds the members, by the process in whose descriptor table the target's number is; epoll
    /// remembers the number. All descriptors are in place when this runs.
    func fillEpolls() throws {
        for (i, file) in context.inventory.openFiles.enumerated() {
            guard case .epoll(let epoll)? = file.kind else { continue }
            for target in epoll.targets { try add(target, to: UInt32(i)) }
        }
    }

    private func add(_ target: ImageEpollTarget, to epoll: UInt32) throws {
        let processes = context.inventory.processes.filter { !$0.zombie }
        func number(_ file: UInt32, in process: ImageProcess) -> Int32? {
            process.descriptors.first { $0.openFile == file }?.number
        }
        let owner =
            processes.first { $0.pid == target.pid && number(epoll, in: $0) != nil }
            ?? processes.first { number(epoll, in: $0) != nil && number(target.openFile, in: $0) != nil }
        guard let owner, let stub = context.stubs[Int32(owner.pid)], let own = number(epoll, in: owner)
        else {
            throw RestoreError(
                "an epoll member (descriptor \(target.descriptor)) has no process to add it")
        }
        let isThere = owner.descriptors.contains {
            $0.number == target.descriptor && $0.openFile == target.openFile
        }
        var used = target.descriptor
        var borrowed: Int32?
        if !isThere, let other = number(target.openFile, in: owner) {
            // Its number was closed, or means something else by now: put there for a moment.
            if owner.descriptors.contains(where: { $0.number == target.descriptor }) {
                used = other
            } else {
                try stub.call(.dup3, UInt64(other), UInt64(target.descriptor), 0)
                borrowed = target.descriptor
            }
        }
        let event = bytes(of: target.events) + bytes(of: target.data)  // packed
        let address = try stub.place(event)
        try stub.call(.epollCtl, UInt64(own), 1, UInt64(used), address, what: "EPOLL_CTL_ADD")
        if let borrowed { try stub.call(.close, UInt64(borrowed)) }
    }
}
