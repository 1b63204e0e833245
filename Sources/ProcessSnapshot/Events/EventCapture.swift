// SPDX-License-Identifier: Apache-2.0
import CheckpointImage
import CLinux
import Glibc
import LinuxSystem

/// Descriptors that are kernel objects without a file: epoll(7), eventfd(2), signalfd(2),
/// timerfd_create(2), inotify(7), pidfd_open(2). Their state is in /proc/PID/fdinfo (proc(5)).
struct EventCapture {
    let context: CaptureContext

    init(_ context: CaptureContext) { self.context = context }

    func capture(_ source: DescriptorSource) throws -> ImageOpenFile {
        switch source.link {
        case "anon_inode:[eventpoll]": return epoll(source)
        case "anon_inode:[eventfd]": return eventfd(source)
        case "anon_inode:[signalfd]":
            let mask = UInt64(source.info.value("sigmask") ?? "0", radix: 16) ?? 0
            return .with { $0.signalfd = .with { $0.mask = mask } }
        case "anon_inode:[timerfd]": return try timerfd(source)
        case "anon_inode:inotify": return try inotify(source)
        case "anon_inode:[pidfd]": return try pidfd(source)
        default:
            throw context.refusal(
                Limit(anonymousInode: source.link) ?? .otherAnonymousInode, source.pid, source.name)
        }
    }

    // MARK: epoll

    /// Targets are by number in the table of whoever added them. That process is found, and the
    /// description noted, when all descriptors are known.
    private func epoll(_ source: DescriptorSource) -> ImageOpenFile {
        let context = context
        let targets = source.info.extra.filter { $0.key == "tfd" }.compactMap { Self.target($0.value) }
        context.openFiles.deferred.append { [unowned context] in
            var epoll = ImageEpoll()
            var seen: [Int32: UInt32] = [:]
            for target in targets {
                let offset = seen[target.descriptor, default: 0]
                seen[target.descriptor] = offset + 1
                guard let found = Self.find(target, offset, source, context) else { continue }
                epoll.targets.append(found)
            }
            context.inventory.openFiles[Int(source.index)].epoll = epoll
        }
        return .with { $0.epoll = ImageEpoll() }
    }

    /// "       8 events: 19 data: 8  pos:0 ino:1f sdev:8"
    private static func target(_ text: String) -> ImageEpollTarget? {
        var scanner = ByteScanner(Array(text.utf8)[...])
        scanner.skipBlanks()
        var result = ImageEpollTarget()
        result.descriptor = Int32(scanner.decimal())
        let words = scanner.rest.text.split(whereSeparator: { $0 == " " || $0 == ":" }).map(String.init)
        for (i, word) in words.enumerated() where i + 1 < words.count {
            switch word {
            case "events": result.events = UInt32(words[i + 1], radix: 16) ?? 0
            case "data": result.data = UInt64(words[i + 1], radix: 16) ?? 0
            default: break
            }
        }
        return result
    }

    private static func find(
        _ target: ImageEpollTarget, _ offset: UInt32, _ source: DescriptorSource,
        _ context: CaptureContext
    ) -> ImageEpollTarget? {
        var result = target
        // The process that has the epoll descriptor first, then every other one: a target's
        // number may mean something else there, or nothing (closed, but kept by a dup).
        let order = [source.pid] + context.processes.map(\.pid).filter { $0 != source.pid }
        for pid in order {
            // Its own number first; it may have been closed since, and a copy kept.
            let all = (try? ProcFS.numbers(in: "/proc/\(pid)/fd")) ?? []
            for number in [target.descriptor] + all
            where isTarget(pid, number, source, target.descriptor, offset) {
                guard let index = try? context.openFiles.index(of: number, in: pid) else { continue }
                result.pid = UInt32(context.inner(pid))
                result.openFile = index
                return result
            }
        }
        return nil
    }

    /// kcmp(2), KCMP_EPOLL_TFD: is descriptor `number` of `pid` the file that the epoll instance
    /// knows as `target`, the `offset`-th of that number if there are several?
    private static func isTarget(
        _ pid: pid_t, _ number: Int32, _ source: DescriptorSource, _ target: Int32, _ offset: UInt32
    ) -> Bool {
        struct Slot { var epoll: UInt32; var target: UInt32; var offset: UInt32 }
        var slot = Slot(epoll: UInt32(source.number), target: UInt32(target), offset: offset)
        return withUnsafeMutablePointer(to: &slot) {
            Kernel.raw(.kcmp, Int(pid), Int(source.pid), 7, Int(number), Int(bitPattern: $0))
        } == 0
    }

    // MARK: counters and timers

    private func eventfd(_ source: DescriptorSource) -> ImageOpenFile {
        let count = UInt64((source.info.value("eventfd-count") ?? "0").trimmed, radix: 16) ?? 0
        let semaphore = source.info.value("eventfd-semaphore").map { $0.trimmed == "1" } ?? false
        return .with {
            $0.eventfd = .with {
                $0.count = count; $0.semaphore = semaphore
            }
        }
    }

    private func timerfd(_ source: DescriptorSource) throws -> ImageOpenFile {
        // A periodic timer that has expired stands still until it is asked; asking also counts
        // the periods since (fs/timerfd.c, do_timerfd_gettime).
        var current: (Int64, Int64, Int64, Int64) = (0, 0, 0, 0)
        _ = withUnsafeMutablePointer(to: &current) {
            Kernel.raw(.timerfdGettime, Int(source.handle.number), Int(bitPattern: $0))
        }
        let info = try DescriptorInfo(pid: source.pid, descriptor: source.number)
        func pair(_ key: String) -> Int64 {  // "(seconds, nanoseconds)"
            let numbers = (info.value(key) ?? "").split { !"0123456789".contains($0) }
            return (Int64(numbers.first ?? "0") ?? 0) * 1_000_000_000 + (Int64(numbers.last ?? "0") ?? 0)
        }
        return .with {
            $0.timerfd = .with {
                $0.clock = Int32(info.value("clockid")?.trimmed ?? "1") ?? 1
                $0.ticks = UInt64(info.value("ticks")?.trimmed ?? "0") ?? 0
                $0.flags = UInt32(info.value("settime flags")?.trimmed ?? "0", radix: 8) ?? 0
                $0.remainingNs = pair("it_value")
                $0.intervalNs = pair("it_interval")
            }
        }
    }

    // MARK: inotify

    private func inotify(_ source: DescriptorSource) throws -> ImageOpenFile {
        var waiting: Int32 = 0
        try source.handle.control(UInt(FIONREAD), &waiting)
        guard waiting == 0 else { throw context.refusal(.inotifyEvents, source.pid, source.name) }
        var result = ImageInotify()
        // "inotify wd:1 ino:9e7e sdev:800013 mask:800afce ignored_mask:0 fhandle-bytes:8
        //  fhandle-type:1 f_handle:7e9e0000640d1b6d"
        for line in source.info.extra where line.key.hasPrefix("inotify ") {
            var fields: [String: String] = [:]
            let text = String(line.key.dropFirst(8)) + ":" + line.value
            for field in text.split(separator: " ") {
                let parts = field.split(separator: ":", maxSplits: 1).map(String.init)
                if parts.count == 2 { fields[parts[0]] = parts[1] }
            }
            result.watches.append(
                try .with {
                    $0.descriptor = Int32(fields["wd"] ?? "0", radix: 16) ?? 0
                    $0.mask = UInt32(fields["mask"] ?? "0", radix: 16) ?? 0
                    $0.path = try path(fields, source)
                })
        }
        return .with { $0.inotify = result }
    }

    /// Opens the watched file by its handle (open_by_handle_at(2)) to learn its path.
    private func path(_ fields: [String: String], _ source: DescriptorSource) throws -> String {
        let type = UInt32(fields["fhandle-type"] ?? "0", radix: 16) ?? 0
        let text = Array((fields["f_handle"] ?? "").utf8)
        var content: [UInt8] = []
        for i in stride(from: 0, to: text.count - 1, by: 2) {
            content.append((ByteScanner.digit(text[i]) << 4) | ByteScanner.digit(text[i + 1]))
        }
        let handle = bytes(of: UInt32(content.count)) + bytes(of: type) + content
        for mount in try mounts(device: UInt64(fields["sdev"] ?? "0", radix: 16) ?? 0) {
            guard let folder = try? Descriptor.open(mount, O_RDONLY) else { continue }
            let fd = handle.withUnsafeBytes {
                Kernel.raw(
                    .openByHandle, Int(folder.number), Int(bitPattern: $0.baseAddress), 0o10000000)
            }
            guard fd >= 0 else { continue }
            let opened = Descriptor(owning: Int32(fd))
            if let link = ProcFS.link("/proc/self/fd/\(opened.number)") { return link }
        }
        throw context.refusal(
            .otherAnonymousInode, source.pid, "\(source.name), a watch whose file is gone")
    }

    /// Mount points of the file system with the kernel's internal device number `sdev`
    /// (20 bits of minor, MINORBITS).
    private func mounts(device sdev: UInt64) throws -> [String] {
        let wanted = "\(sdev >> 20):\(sdev & 0xfffff)"
        return try ProcFS.text("/proc/self/mountinfo").split(separator: "\n").compactMap {
            let fields = $0.split(separator: " ")
            return fields.count > 4 && fields[2] == wanted ? String(fields[4]) : nil
        }
    }

    // MARK: pidfd

    private func pidfd(_ source: DescriptorSource) throws -> ImageOpenFile {
        let pid = pid_t(source.info.value("Pid")?.trimmed ?? "-1") ?? -1
        if pid > 0, !context.processes.contains(where: { $0.pid == pid }),
            context.innerPids[pid] == nil
        {
            throw context.refusal(.processOutside, source.pid, source.name)
        }
        return .with { $0.pidfd = .with { $0.pid = pid > 0 ? UInt32(context.inner(pid)) : 0 } }
    }
}

extension String {
    var trimmed: String {
        var slice = self[...]
        while let f = slice.first, f == " " || f == "\t" { slice = slice.dropFirst() }
        while let l = slice.last, l == " " || l == "\t" || l == "\n" { slice = slice.dropLast() }
        return String(slice)
    }
}
