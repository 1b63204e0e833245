// SPDX-License-Identifier: Apache-2.0
import CLinux
import CheckpointImage
import Glibc
import ImageStore
import LinuxSystem
import Synchronization
import Tracing

/// A job rebuilt from an image and running.
public struct RestoredJob: Sendable {
    /// The pod's first process; everything in the pod ends with it.
    public let podPid: pid_t
    /// SEQPACKET channel to it: fermata_pod_report structures.
    public let channel: Descriptor
    /// The process that the original command started: its pid in the pod.
    public let rootPid: pid_t
    /// The same as this namespace numbers it; 0 if it had ended before the checkpoint.
    public let outerRootPid: pid_t
    /// Master of the terminal to relay, if the job had one.
    public let terminal: Descriptor?
    public let pager: Pager?

    /// Kills all of it. Any thread.
    public func end() { _ = Kernel.raw(.kill, Int(podPid), Int(SIGKILL)) }
}

/// Rebuilds a job on this machine. All of it runs on one thread of its own, which is in the
/// time namespace of the job afterwards and must end.
public final class JobRestore {
    private let context: RestoreContext
    private var pod: Stub!
    private var podRegisters = user_regs_struct()
    private var podAffinity = Affinity.all
    private var channel: Descriptor!
    private var transfer: DescriptorTransfer!
    private var processes: [ProcessRestore] = []
    private let rootPid: pid_t
    /// Stage timings in nanoseconds, in order, for people.
    public private(set) var stages: [(String, Int64)] = []
    private var stageStart = Clock.monotonic()

    public init(reader: ImageReader, options: RestoreOptions) throws {
        let inventory = try reader.inventory()
        context = RestoreContext(reader: reader, inventory: inventory, options: options)
        rootPid = pid_t(inventory.rootPid)
        mark("read")
    }

    private func mark(_ stage: String) {
        let now = Clock.monotonic()
        stages.append((stage, now - stageStart))
        stageStart = now
    }

    /// What would make the restart wrong or impossible, found before anything is touched.
    public func check() throws {
        guard context.inventory.processes.contains(where: { pid_t($0.pid) == rootPid }) else {
            throw RestoreError("the image lacks the process that the job's command started")
        }
        let host = context.inventory.host
        let missing = host.xcr0 & ~fermata_xcr0()
        guard missing == 0 else {
            throw RestoreError(
                "this CPU lacks register state the job may use (XCR0 components 0x\(String(missing, radix: 16))); it ran on \(host.cpuModel)"
            )
        }
        // A file that the image brings back need not be what it was before that.
        let saved = Set(context.inventory.savedFiles.map(\.path))
        for file in context.inventory.backingFiles where !saved.contains(file.path) { try verify(file) }
        try FileRestore(context: context).verifyContents()
        try checkVDSO()
        mark("check")
    }

    /// On another kernel the vDSO's functions still lead somewhere, but what a thread was in the
    /// middle of cannot be gone on with: its data page is gone.
    private func checkVDSO() throws {
        let old = Array(context.inventory.vdso)
        guard !old.isEmpty else { return }
        let image = try VDSO(bytes: old)
        guard try image != VDSO.ofThisKernel() else { return }
        context.foreignVDSO = image
        for process in context.inventory.processes where process.hasMemory {
            let end = process.memory.vdsoStart + process.memory.vdsoBytes
            for thread in process.threads where !thread.exited {
                let registers = structure(user_regs_struct(), from: thread.registers)
                guard !(process.memory.vdsoStart..<end).contains(registers.rip) else {
                    throw RestoreError(
                        "thread \(thread.tid) of process \(process.pid) was inside the vDSO of kernel \(context.inventory.host.kernelRelease), which is not this one's; restart there, or from another epoch"
                    )
                }
            }
        }
    }

    /// A file that is mapped and not stored must be the same file.
    private func verify(_ file: ImageBackingFile) throws {
        var status = stat()
        guard stat(file.path, &status) == 0 else {
            throw RestoreError("\(file.path): the job has it mapped, and it is missing here")
        }
        let modified = Int64(status.st_mtim.tv_sec) * 1_000_000_000 + Int64(status.st_mtim.tv_nsec)
        if UInt64(status.st_size) == file.sizeBytes && modified == file.modifiedNs { return }
        guard UInt64(status.st_size) == file.sizeBytes,
            try FileChecksums.compute(file.path) == file.checksum
        else {
            throw RestoreError("\(file.path): the job has it mapped, and it is a different file here")
        }
    }

    /// Rebuilds everything and lets it run. On an error nothing is left.
    /// `lost`: called from the pager's thread when memory cannot be read; the job is dead then.
    /// `ready`: called when everything is there and nothing runs yet.
    public func run(
        lost: @escaping @Sendable (any Error) -> Void, ready: (RestoredJob) throws -> Void
    ) throws -> RestoredJob {
        do {
            try startPod()
            mark("pod")
            try growTree()
            mark("tree")
            try InPod(context).systemV()
            try OpenFileRestore(context: context).restoreAll()
            mark("files")
            let pager = try build(lost)
            mark("memory")
            try finishState()
            mark("state")
            if context.options.preload { pager?.wait() }
            let job = RestoredJob(
                podPid: context.podPid, channel: channel, rootPid: rootPid,
                outerRootPid: context.outerPids[Int32(rootPid)] ?? 0,
                terminal: context.supervisedMaster, pager: pager)
            try ready(job)
            try go()
            mark("run")
            return job
        } catch {
            endPod()
            FileRestore(context: context).removeTemporaryNames()
            throw error
        }
    }

    /// Kills everything in the pod. The pod's first process cannot end before the stubs have been
    /// reaped, and a traced stub is reaped by its tracer first: this thread, which has no other
    /// children.
    private func endPod() {
        guard context.podPid > 0 else { return }
        _ = Kernel.raw(.kill, Int(context.podPid), Int(SIGKILL))
        var status: Int32 = 0
        let anyOfThisThread = Int32(bitPattern: 0x4000_0000 | 0x2000_0000)  // __WALL | __WNOTHREAD
        while waitpid(-1, &status, anyOfThisThread) > 0 || errno == EINTR {}
    }

    // MARK: pod and tree

    private func startPod() throws {
        let (mine, theirs) = try Descriptor.socketPair(Int32(SOCK_SEQPACKET.rawValue))
        let (send, receive) = try Descriptor.socketPair(Int32(SOCK_SEQPACKET.rawValue))
        let high = (try theirs.duplicate(atLeast: 16), try receive.duplicate(atLeast: 16))
        channel = mine
        transfer = DescriptorTransfer(socket: send)
        try enterTimeNamespace()
        let flags: UInt64 = 0x2000_0000 | 0x0002_0000 | 0x0400_0000 | 0x0800_0000  // PID NS UTS IPC
        context.podPid = fermata_spawn_pod_init(
            flags, high.0.number, high.1.number, context.inventory.host.hostname)
        try Kernel.check(Int(context.podPid), "create the pod's namespaces")
        var report = fermata_pod_report()
        let n = recv(mine.number, &report, MemoryLayout<fermata_pod_report>.size, 0)
        guard n == MemoryLayout<fermata_pod_report>.size, report.kind == Int32(FERMATA_POD_READY) else {
            throw SystemError(
                code: report.status, operation: "set up the pod (/proc, /dev/pts, host name)")
        }
        context.root = try Descriptor.open("/proc/\(context.podPid)/root", O_RDONLY | O_DIRECTORY)
        pod = try Stub.seize(context.podPid)
        // From here on this thread and the stubs share a CPU, see `withRemoteSyscalls`: the
        // stubs inherit the mask, threads get theirs back with their registers.
        podAffinity = try Affinity(of: context.podPid).lasting
        Affinity.here.apply(to: 0)
        Affinity.here.apply(to: context.podPid)
        podRegisters = try pod.tracee.registers()
        let scratch = try pod.call(
            .mmap, 0, 16384, UInt64(PROT_READ | PROT_WRITE), UInt64(MAP_PRIVATE | MAP_ANONYMOUS),
            UInt64.max, 0)
        pod.scratch = scratch
    }

    /// CLOCK_MONOTONIC and CLOCK_BOOTTIME go on where they were (time_namespaces(7)). The offsets
    /// belong to this thread's future children.
    private func enterTimeNamespace() throws {
        guard Kernel.raw(.unshare, 0x80) == 0 else { return }  // CLONE_NEWTIME: kernel without it
        let tid = Kernel.raw(.gettid)
        func line(_ clock: String, _ wanted: Int64, _ now: Int64) -> String {
            var (seconds, rest) = (wanted - now).quotientAndRemainder(dividingBy: 1_000_000_000)
            if rest < 0 { seconds -= 1; rest += 1_000_000_000 }
            return "\(clock) \(seconds) \(rest)\n"
        }
        let clocks = context.inventory.clocks
        let text =
            line("monotonic", clocks.monotonicNs, Clock.monotonic())
            + line("boottime", clocks.boottimeNs, Clock.boottime())
        let file = try Descriptor.open("/proc/\(tid)/timens_offsets", O_WRONLY)
        try Kernel.libc(write(file.number, text, text.utf8.count), "set the pod's clocks")
    }

    private func growTree() throws {
        let list = context.inventory.processes.map {
            TreePlan.Node(
                pid: Int32($0.pid), parent: Int32($0.parentPid), session: Int32($0.session),
                group: Int32($0.group))
        }
        let plan: TreePlan
        do { plan = try TreePlan(list) } catch {
            throw RestoreError("the process tree cannot be rebuilt: \(error)")
        }
        context.stubs[0] = pod
        for step in plan.steps { try perform(step) }
    }

    private func perform(_ step: TreePlan.Step) throws {
        switch step {
        case .clone(let pid, let creator):
            context.stubs[pid] = try clone(pid, by: try stub(creator))
        case .cloneOrphan(let pid, let creator):
            let parent = try stub(creator)
            let helper = try clone(0, by: parent)
            context.stubs[pid] = try clone(pid, by: helper)
            try end(helper, waitedForBy: parent)
        case .lead(let session):
            try stub(session).call(.setsid)
        case .join(let pid, let group):
            try stub(pid).call(.setpgid, 0, UInt64(group), what: "process group \(group)")
        case .end(let helper, let creator):
            try end(try stub(helper), waitedForBy: try stub(creator))
            context.stubs[helper] = nil
        }
    }

    private func stub(_ pid: Int32) throws -> Stub {
        guard let stub = context.stubs[pid] else { throw RestoreError("no process \(pid)") }
        return stub
    }

    /// A child of `parent` with the given id (0: any).
    private func clone(_ pid: Int32, by parent: Stub) throws -> Stub {
        var arguments = fermata_clone_args()
        arguments.exit_signal = UInt64(SIGCHLD)
        arguments.flags = 0x1_0000_0000  // CLONE_CLEAR_SIGHAND: the pod's own handler is not the job's
        if pid != 0 {
            arguments.set_tid = parent.scratch + 256
            arguments.set_tid_size = 1
            try parent.place(value: pid, at: 256)
        }
        try parent.place(value: arguments)
        try parent.call(
            .clone3, parent.scratch, UInt64(MemoryLayout<fermata_clone_args>.size),
            what: "process \(pid)")
        let tracee = Tracee(tid: parent.tracee.lastChild)
        try Stub.awaitStop(tracee)
        context.outerPids[pid] = tracee.tid
        return try Stub(adopting: tracee, scratch: parent.scratch)
    }

    private func end(_ helper: Stub, waitedForBy parent: Stub) throws {
        try helper.start(.exitGroup, [0])
        while let status = helper.tracee.wait(), !status.isEnd { try helper.tracee.continueRunning() }
        // The parent's own wait; which child it was does not matter to wait4(-1) here.
        let pid = UInt64(bitPattern: -1)
        _ = try parent.invoke(.wait4, [pid, 0, 0x4000_0000 | 1, 0])  // __WALL | WNOHANG
    }

    // MARK: processes

    private func build(_ lost: @escaping @Sendable (any Error) -> Void) throws -> Pager? {
        var spaces: [Pager.Space] = []
        for process in context.inventory.processes where !process.zombie {
            let restore = ProcessRestore(context, process, try stub(Int32(process.pid)))
            if let space = try restore.build(&transfer) { spaces.append(space) }
            processes.append(restore)
        }
        guard !spaces.isEmpty else { return nil }
        let channel = channel!
        let pod = context.podPid
        let siblings = context.siblings
        let pager = Pager(
            spaces,
            finished: { _ = fermata_send_descriptors(channel.number, UInt8(ascii: "r").signed, nil, 0) },
            failed: { error in
                _ = Kernel.raw(.kill, Int(pod), Int(SIGKILL))
                lost(error)
                siblings.reap()
            })
        // The pod keeps copies: if this process dies, its threads must wait for pages for as
        // long as it takes the pod to end, and not read zeroes.
        for part in stride(from: 0, to: pager.descriptors.count, by: 60) {
            let numbers = Array(pager.descriptors[part..<min(part + 60, pager.descriptors.count)])
            try Kernel.check(
                fermata_send_descriptors(
                    channel.number, UInt8(ascii: "u").signed, numbers, Int32(numbers.count)),
                "hand the pager's descriptors to the pod")
        }
        pager.start()
        return pager
    }

    private func finishState() throws {
        try TerminalRestore(context).attachSessions()
        for process in processes {
            try process.openOwnFiles()
            try process.restoreOwners()
        }
        try EventRestore(context: context).fillEpolls()
        try LockRestore(context: context).restoreProcessLocks()
        FileRestore(context: context).removeTemporaryNames()
        for process in processes { try process.restoreState() }
        for zombie in context.inventory.processes where zombie.zombie { try bury(zombie) }
        try InPod(context).removeSegments()
        for process in processes { try process.restoreCredentials() }
    }

    /// Ends a stub the way the process had ended; its parent finds it with wait(2).
    private func bury(_ zombie: ImageProcess) throws {
        let stub = try stub(Int32(zombie.pid))
        let status = Int32(bitPattern: zombie.waitStatus)
        let signal = status & 0x7f
        if signal == 0 {
            try stub.start(.exitGroup, [UInt64(status >> 8 & 0xff)])
        } else {
            var none: (UInt64, UInt64) = (0, 0)  // RLIMIT_CORE: no core file a second time
            _ = withUnsafeMutablePointer(to: &none) {
                Kernel.raw(.prlimit, Int(stub.tracee.tid), 4, Int(bitPattern: $0), 0)
            }
            try stub.tracee.setSignalMask(0)  // a stub has everything blocked
            // Pending before the stub runs on, so delivered before its next instruction.
            _ = Kernel.raw(.kill, Int(stub.tracee.tid), Int(signal))
            try? stub.tracee.continueRunning()  // SIGKILL has ended it already
        }
        while let state = stub.tracee.wait(), !state.isEnd {
            if case .signal(let s) = state {
                try? stub.tracee.continueRunning(delivering: s)
            } else {
                try? stub.tracee.continueRunning()
            }
        }
    }

    private func go() throws {
        for process in processes { try process.finish() }
        context.files = []
        context.shared = []
        try leavePod()
        // Nobody is to see a stopped process on its way into the stop, or signal and wake a thread
        // that is not yet back in the call in which it waits.
        for process in processes where process.process.stopped { process.releaseStopped() }
        let running = processes.filter { !$0.process.stopped }
        for process in running { process.release(inCall: true) }
        let deadline = Clock.monotonic() + 10_000_000
        for process in running { process.awaitCalls(until: deadline) }
        for process in running { process.release(inCall: false) }
    }

    /// The pod's first process goes back to its own loop.
    private func leavePod() throws {
        try pod.call(.munmap, pod.scratch, 16384)
        try pod.call(.close, 4)
        var registers = InterruptedSyscall.resumable(podRegisters)
        registers.orig_rax = UInt64.max
        try pod.tracee.setRegisters(registers)
        podAffinity.apply(to: context.podPid)
        try pod.tracee.detach()
    }
}

extension UInt8 {
    var signed: CChar { CChar(bitPattern: self) }
}

/// Work that has to happen inside the pod's IPC namespace, on a thread of its own.
private struct InPod {
    private let context: RestoreContext
    private let restore: SystemVRestore
    private var isNeeded: Bool {
        let i = restore.inventory
        return !i.semaphoreSets.isEmpty || !i.messageQueues.isEmpty
            || i.sharedMemory.contains { $0.kind == .systemV }
    }

    init(_ context: RestoreContext) {
        self.context = context
        restore = SystemVRestore(inventory: context.inventory, reader: context.reader)
    }

    private var view: JobView { JobView(reaper: context.podPid, isPod: true, excluded: { [] }) }

    func systemV() throws {
        guard isNeeded else { return }
        let restore = restore
        try InIPCNamespace.of(view) { try restore.restoreAll() }
    }

    func removeSegments() throws {
        guard isNeeded else { return }
        let restore = restore
        try InIPCNamespace.of(view) { restore.removeSegments() }
    }
}
