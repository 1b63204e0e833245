// SPDX-License-Identifier: Apache-2.0
import CLinux
import CheckpointImage
import Foundation
import Glibc
import ImageStore
import LinuxSystem
import Tracing

/// The process that the job's command started ended before it could be stopped.
public struct JobEnded: Error, CustomStringConvertible {
    public var description: String { "the job has ended" }
}

/// One checkpoint of one node, step by step. The steps are the directives of the agent's state
/// machine; all of them run on one thread, because ptrace belongs to a thread.
///
/// freeze → capture → (resume → persist | persist → resume or kill). Whatever step throws,
/// `abandon` leaves the job running as if nothing had been.
public final class JobCapture {
    private let view: JobView
    private let options: CaptureOptions
    private let inherited: InheritedDescriptors
    private let writer: EpochWriter
    private let freezer: Freezer
    private var lock: NetworkLock?
    private var context: CaptureContext!
    private var processes: [StoppedProcess] = []
    private var snapshots: [pid_t: Tracee] = [:]
    private var held: [pid_t: (ranges: [UInt64: [Range<UInt64>]], pages: HeldPages)] = [:]
    /// Contents read during the stop, for files that change as soon as the job goes on.
    private var blockFiles: [BlockSource] = []
    public private(set) var counts = PageCounts()
    public private(set) var threadCount = 0
    public var processCount: Int { context?.inventory.processes.count ?? 0 }
    public private(set) var storedBytes: UInt64 = 0
    private let progressCounter = ProgressCounter()
    private let ownProcesses: OwnProcesses
    /// Bytes written and about how many there will be. Any thread.
    public var progress: (done: UInt64, total: UInt64) { progressCounter.value }

    /// Raw wait statuses of top processes that ended while they were traced, once.
    public func takeEnded() -> [pid_t: Int32] { freezer.takeEnded() }

    private struct BlockSource {
        let name: String
        let file: Descriptor
        let held: [UInt8]?
        let ranges: [Range<UInt64>]
        let size: UInt64
        let apply: (inout ImageInventory, UInt32, [Extent]) -> Void
    }

    public init(
        view: JobView, options: CaptureOptions, inherited: InheritedDescriptors,
        writer: EpochWriter, ownProcesses: OwnProcesses
    ) {
        self.ownProcesses = ownProcesses
        self.view = view
        self.options = options
        self.inherited = inherited
        self.writer = writer
        freezer = Freezer(roots: view.roots)
    }

    // MARK: freeze

    /// Stops every thread and locks the network. From here on the job stands still.
    public func freeze() throws {
        do {
            processes = try freezer.freeze()
        } catch let failure as Freezer.Failure {
            guard case .stuck(let pid, let tid, let why) = failure else { throw failure }
            throw Refusal(
                why.contains("vfork") ? .vfork : .uninterruptible, pid: JobView.inner(pid),
                command: JobView.command(pid), resource: "thread \(tid), \(why)")
        }
        lock = try NetworkLock(processes.map(\.anchor))
    }

    // MARK: capture

    /// Reads everything but private memory; in fork mode ends with a frozen copy of each process.
    /// `rootPid`: the process that the job's command started, as the supervisor numbers it.
    public func capture(rootPid: pid_t) throws {
        context = CaptureContext(
            view: view, options: options, processes: processes, inherited: inherited)
        context.reuseAddress = lock?.reuseAddress ?? [:]
        for process in processes { _ = context.inner(process.pid) }
        for zombie in freezer.zombies { _ = context.inner(zombie) }
        describeHost()
        var captured: [(pid: pid_t, image: ImageProcess)] = []
        for process in processes {
            captured.append((process.anchor, try ProcessCapture(context, process).capture()))
            threadCount += process.threads.count
        }
        for work in context.openFiles.deferred { try work() }
        readClocks()
        try TCPCapture(context: context).checkAcceptQueues()
        try LockCapture(context: context).capture(captured)
        var systemV = SystemVCapture(context: context)
        try systemV.capture()
        try terminals()
        for zombie in freezer.zombies.sorted() {
            guard !processes.contains(where: { $0.pid == zombie }),
                let image = try? ProcessCapture.zombie(zombie, context)
            else { continue }  // an orphan that the supervisor has reaped meanwhile
            captured.append((zombie, image))
        }
        context.inventory.processes = captured.map(\.image)
        guard let root = context.innerPids[rootPid], captured.contains(where: { $0.image.pid == root })
        else { throw JobEnded() }
        context.inventory.rootPid = UInt32(root)
        try collectContents()
        if options.mode == .fork {
            for process in processes { try fork(process) }
        }
        for process in processes { try process.releaseScratch() }
    }

    private func describeHost() {
        var name = utsname()
        uname(&name)
        func text<T>(_ field: T) -> String {
            withUnsafeBytes(of: field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        }
        context.inventory.host = .with {
            $0.hostname = hostname() ?? text(name.nodename)
            $0.kernelRelease = text(name.release)
            $0.xcr0 = fermata_xcr0()
            $0.bootID = (try? ProcFS.text("/proc/sys/kernel/random/boot_id").trimmed) ?? ""
            $0.cpuModel = cpuModel()
        }
        if let vdso = (try? MappingEntry.list(processes.first?.anchor ?? 0))?.first(where: {
            $0.path == "[vdso]"
        }),
            let bytes = try? processes[0].memory.read(vdso.start, count: Int(vdso.bytes))
        {
            context.inventory.vdso = Data(bytes)
        }
    }

    /// After the time that is left to every timer was read: one may then expire a little late
    /// by the job's clocks, as on any busy machine, but never early.
    private func readClocks() {
        context.inventory.clocks = .with {
            $0.realtimeNs = Clock.realtime()
            $0.monotonicNs = Clock.monotonic() + offset("monotonic")
            $0.boottimeNs = Clock.boottime() + offset("boottime")
        }
    }

    private func cpuModel() -> String {
        let lines = (try? ProcFS.text("/proc/cpuinfo").split(separator: "\n")) ?? []
        return lines.first { $0.hasPrefix("model name") }.map {
            String($0.drop { $0 != ":" }.dropFirst(2))
        } ?? ""
    }

    private func hostname() -> String? {
        try? ProcFS.text("/proc/\(processes.first?.pid ?? getpid())/root/proc/sys/kernel/hostname")
            .trimmed
    }

    /// What the job's time namespace adds to a clock, in nanoseconds (time_namespaces(7)).
    private func offset(_ clock: String) -> Int64 {
        guard view.isPod, let text = try? ProcFS.text("/proc/\(view.reaper)/timens_offsets") else {
            return 0
        }
        for line in text.split(separator: "\n") {
            let fields = line.split { $0 == " " || $0 == "\t" }
            if fields.count == 3, fields[0] == clock {
                return (Int64(fields[1]) ?? 0) * 1_000_000_000 + (Int64(fields[2]) ?? 0)
            }
        }
        return 0
    }

    private func terminals() throws {
        let slaves = context.inventory.openFiles.compactMap { file -> ImageTerminal? in
            if case .terminal(let terminal)? = file.kind, !terminal.master { terminal } else { nil }
        }
        for i in context.inventory.openFiles.indices {
            guard case .terminal(var terminal)? = context.inventory.openFiles[i].kind, terminal.master,
                let master = context.terminalMasters[terminal.index]
            else { continue }
            terminal.hungUp = TerminalCapture.isHungUp(master)
            // To look into one whose slave nobody has opened yet would hang it up.
            let isOpen = slaves.contains { $0.controllingName || $0.index == terminal.index }
            if isOpen || terminal.hungUp,
                let queues = TerminalQueues(master: master, packetMode: terminal.packetMode)
            {
                let content = try queues.content()
                terminal.output = Data(content.output)
                terminal.input = Data(content.input)
                terminal.stop = content.stop.rawValue
            }
            context.inventory.openFiles[i].terminal = terminal
        }
    }

    // MARK: contents of files and shared memory

    private func collectContents() throws {
        for (i, source) in context.savedSources.enumerated() {
            let saved = context.inventory.savedFiles[i]
            guard !saved.sizeOnly else { continue }
            try collect("file-\(i).raw", source, size: saved.sizeBytes) { inventory, block, _ in
                inventory.savedFiles[i].blockFile = block
            }
        }
        for (i, source) in context.sharedSources.enumerated() {
            let size = context.inventory.sharedMemory[i].sizeBytes
            try collect("shared-\(i).raw", source, size: size) { inventory, block, extents in
                inventory.sharedMemory[i].pagesFile = block
                inventory.sharedMemory[i].extents = Extent.encode(extents)
            }
        }
    }

    /// Notes the data ranges of a file (lseek(2), SEEK_DATA); reads them now if the job is going
    /// to change them before they are written.
    private func collect(
        _ name: String, _ source: Descriptor, size: UInt64,
        _ apply: @escaping (inout ImageInventory, UInt32, [Extent]) -> Void
    ) throws {
        let page = UInt64(Format.pageBytes)
        var ranges: [Range<UInt64>] = []
        var position: Int = 0
        while position < Int(size) {
            let data = lseek(source.number, position, 3)  // SEEK_DATA
            guard data >= 0, data < Int(size) else { break }
            let hole = lseek(source.number, data, 4)  // SEEK_HOLE
            let start = UInt64(data) / page * page
            let end = min(
                (UInt64(max(hole, data)) + page - 1) / page * page, (size + page - 1) / page * page)
            if let last = ranges.last, last.upperBound >= start {
                ranges[ranges.count - 1] = last.lowerBound..<end
            } else {
                ranges.append(start..<end)
            }
            position = hole
        }
        var held: [UInt8]?
        if options.mode == .fork {
            var bytes = [UInt8](repeating: 0, count: ranges.reduce(0) { $0 + Int($1.count) })
            var done = 0
            for range in ranges {
                let count = Int(range.count)
                try bytes.withUnsafeMutableBytes {
                    try Self.read(
                        source, UnsafeMutableRawBufferPointer(rebasing: $0[done..<(done + count)]),
                        range.lowerBound)
                }
                done += count
            }
            held = bytes
        }
        blockFiles.append(
            BlockSource(
                name: name, file: source, held: held, ranges: ranges, size: size, apply: apply))
    }

    /// Reads up to the end of the file; beyond it stays zero.
    private static func read(
        _ source: Descriptor, _ bytes: UnsafeMutableRawBufferPointer, _ offset: UInt64
    ) throws {
        var done = 0
        while done < bytes.count {
            let n = pread(
                source.number, bytes.baseAddress! + done, bytes.count - done, Int(offset) + done)
            if n < 0 && errno == EINTR { continue }
            try Kernel.libc(n, "read a file of the job")
            if n == 0 { break }
            done += n
        }
        if done < bytes.count { memset(bytes.baseAddress! + done, 0, bytes.count - done) }
    }

    private func write(_ source: BlockSource) throws {
        let file = try writer.blockFile(source.name)
        let total = source.ranges.reduce(0) { $0 + Int($1.count) }
        try file.reserve(bytes: UInt64(total))
        let buffer = AlignedBuffer(bytes: 1 << 20)
        var extents: [Extent] = []
        var position = 0  // in the block file
        var filled = 0  // in the buffer
        func flush() throws {
            guard filled > 0 else { return }
            try file.write(
                UnsafeRawBufferPointer(buffer.prefix(filled)), at: UInt64(position - filled),
                runs: [0..<filled])
            filled = 0
        }
        for range in source.ranges {
            extents.append(
                Extent(
                    first: range.lowerBound / UInt64(Format.pageBytes),
                    count: range.upperBound / UInt64(Format.pageBytes) - range.lowerBound
                        / UInt64(Format.pageBytes),
                    position: UInt64(position / Format.pageBytes)))
            var at = range.lowerBound
            while at < range.upperBound {
                let n = min(buffer.count - filled, Int(range.upperBound - at))
                let target = UnsafeMutableRawBufferPointer(
                    rebasing: buffer.prefix(buffer.count)[filled..<(filled + n)])
                if let held = source.held {
                    held.withUnsafeBytes {
                        target.copyMemory(
                            from: UnsafeRawBufferPointer(rebasing: $0[position..<(position + n)]))
                    }
                } else {
                    try Self.read(source.file, target, at)
                }
                filled += n
                position += n
                at += UInt64(n)
                if filled == buffer.count { try flush() }
            }
        }
        try flush()
        let description = try file.finish()
        storedBytes += UInt64(total)
        let index = UInt32(context.inventory.blockFiles.count)
        context.inventory.blockFiles.append(description)
        writer.add(description)
        if source.name.hasPrefix("file-") {
            let saved = Int(source.name.dropFirst(5).dropLast(4))!
            context.inventory.savedFiles[saved].extents = Extent.encode(extents)
        }
        source.apply(&context.inventory, index, extents)
    }

    // MARK: fork mode

    private func fork(_ process: StoppedProcess) throws {
        let copy = try process.forkSnapshot()
        snapshots[process.pid] = copy
        ownProcesses.insert(copy.tid)
        try holdMissing(process, copy)
    }

    /// Ranges that the copy lacks, MADV_DONTFORK and MADV_WIPEONFORK, are read in the stop. The
    /// first are absent; the second show as mappings without pages that have some here. Only
    /// small ones are compared: what wipes on fork is keys and random state.
    private func holdMissing(_ process: StoppedProcess, _ copy: Tracee) throws {
        let theirs = try MappingEntry.list(copy.tid)
        let mine = try Descriptor.open("/proc/\(process.anchor)/pagemap", O_RDONLY)
        let other = try Descriptor.open("/proc/\(copy.tid)/pagemap", O_RDONLY)
        var ranges: [UInt64: [Range<UInt64>]] = [:]
        var pages: [UInt64: [UInt8]] = [:]
        var next = 0
        for entry in try MappingEntry.list(process.anchor)
        where !entry.shared && !entry.path.hasPrefix("[v") && !process.isScratch(entry) {
            while next < theirs.count, theirs[next].end <= entry.start { next += 1 }
            let present = next < theirs.count && theirs[next].start <= entry.start
            if present && (entry.bytes > 4 << 20 || entry.isFile) { continue }
            let own = try PageCopier.privateRuns(mine, entry.start, entry.end)
            guard !own.isEmpty else { continue }
            if present, try !PageCopier.privateRuns(other, entry.start, entry.end).isEmpty { continue }
            ranges[entry.start] = own
            for run in own {
                pages[run.lowerBound] = try process.memory.read(run.lowerBound, count: Int(run.count))
            }
        }
        held[process.pid] = (ranges, HeldPages(pages))
    }

    // MARK: resume

    /// Lets the job go on. Everything not yet read must be in a forked copy or held.
    public func resume() {
        lock?.unlock()
        lock = nil
        freezer.thaw()
        processes = []
    }

    /// SIGKILLs the frozen job, whose image is committed. TCP sockets vanish without a word.
    public func kill() {
        freezer.kill()
        lock?.release()
        lock = nil
        processes = []
    }

    /// After any failure: the job goes on, copies are removed.
    public func abandon() {
        for process in processes { try? process.releaseScratch() }
        resume()
        dropSnapshots()
    }

    private func dropSnapshots() {
        for copy in snapshots.values {
            _ = Kernel.raw(.kill, Int(copy.tid), Int(SIGKILL))
            while let status = copy.wait(), !status.isEnd {}
            ownProcesses.remove(copy.tid)
        }
        snapshots = [:]
    }

    // MARK: persist

    /// Writes everything durably, except the manifest.
    public func persist() throws {
        defer { dropSnapshots() }
        let resident = context.inventory.processes.indices.reduce(UInt64(0)) { total, i in
            let pid = context.outer(pid_t(context.inventory.processes[i].pid)) ?? 0
            return total
                + ((try? ProcessStatus("/proc/\(snapshots[pid]?.tid ?? pid)"))?.residentKiB ?? 0) * 1024
        }
        progressCounter.start(total: resident)
        for (i, process) in context.inventory.processes.enumerated() where !process.zombie {
            guard let pid = context.outer(pid_t(process.pid)) else { continue }
            let anchor = processes.first { $0.pid == pid }?.anchor ?? pid
            let source = snapshots[pid]?.tid ?? anchor
            var memory = process.memory
            let isCopy = snapshots[pid] != nil
            try MemoryCapture.addFlags(&memory, from: source, absent: isCopy ? .dontFork : nil)
            let file = try writer.blockFile("pages-\(process.pid).raw")
            let kept = held[pid]
            let copied = try PageCopier(pid: source, memory: RemoteMemory(pid: source)).copy(
                &memory, files: context.inventory.backingFiles, to: file,
                substitutes: kept?.ranges ?? [:], substituteMemory: kept?.pages ?? HeldPages(),
                progress: progressCounter)
            counts = counts + copied
            let description = try file.finish()
            storedBytes += copied.stored * UInt64(Format.pageBytes)
            memory.pagesFile = UInt32(context.inventory.blockFiles.count)
            context.inventory.blockFiles.append(description)
            writer.add(description)
            context.inventory.processes[i].memory = memory
        }
        for source in blockFiles { try write(source) }
        blockFiles = []
        try checksumBackingFiles()
        try writer.write(context.inventory, name: Format.inventoryName)
    }

    /// Of files that the restart needs as they are. What is saved comes from the image, and the job,
    /// which runs on in fork mode, may have removed it by now.
    private func checksumBackingFiles() throws {
        let saved = Set(context.inventory.savedFiles.map(\.path))
        for i in context.inventory.backingFiles.indices {
            let file = context.inventory.backingFiles[i]
            if saved.contains(file.path) { continue }
            context.inventory.backingFiles[i].checksum = try FileChecksums.shared.checksum(file)
        }
    }
}
