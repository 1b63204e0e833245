// SPDX-License-Identifier: Apache-2.0
import CLinux
import CheckpointImage
import Glibc
import LinuxSystem
import Tracing

/// One process, from stub to the moment before it runs.
final class ProcessRestore {
    let context: RestoreContext
    let process: ImageProcess
    private(set) var stub: Stub
    private var threads: [Stub] = []
    private var executable: Int32 = -1

    init(_ context: RestoreContext, _ process: ImageProcess, _ stub: Stub) {
        self.context = context
        self.process = process
        self.stub = stub
    }

    // MARK: memory and descriptors

    /// The address space, then the descriptor table. Returns what the pager has to serve.
    func build(_ transfer: inout DescriptorTransfer) throws -> Pager.Space? {
        let restore = MemoryRestore(context, process)
        let highest = process.descriptors.map(\.number).max() ?? 2
        try transfer.prepare(stub, above: max(highest + 1, 64))
        stub = try restore.wipe(stub)
        context.stubs[Int32(process.pid)] = stub
        let mapped = try sendMapped(transfer)
        try restore.map(stub, descriptors: mapped)
        let space = try restore.fill(stub)
        try restore.finish(stub, executable: executable)
        try enterFolders(transfer)
        // Whatever was sent for the mappings goes, then the real table comes.
        try stub.call(.closeRange, 0, UInt64(transfer.inside) - 1, 0)
        try sendTable(transfer)
        return space
    }

    private func sendMapped(_ transfer: DescriptorTransfer) throws -> MappedDescriptors {
        var result = MappedDescriptors()
        var handles: [Descriptor] = []
        var assign: [(Int32) -> Void] = []
        var seen: Set<String> = []
        for m in process.memory.mappings where m.backing != .anonymous {
            guard seen.insert("\(m.backing) \(m.object) \(m.writableFile)").inserted else { continue }
            switch m.backing {
            case .file:
                let path = context.inventory.backingFiles[Int(m.object)].path
                handles.append(try context.open(path, m.writableFile ? O_RDWR : O_RDONLY))
                assign.append {
                    if m.writableFile {
                        result.writableBacking[m.object] = $0
                    } else {
                        result.backing[m.object] = $0
                    }
                }
            case .sharedMemory:
                guard let object = context.shared[Int(m.object)] else { continue }  // System V
                handles.append(object)
                assign.append { result.shared[m.object] = $0 }
            case .openFile:
                let path = context.saved[Int(m.object)].path
                handles.append(try context.open(path, m.shared && m.writableFile ? O_RDWR : O_RDONLY))
                assign.append { result.saved[m.object] = $0 }
            default: continue
            }
        }
        let file = context.inventory.openFiles[Int(process.executable)]
        guard let program = try context.files[Int(process.executable)] ?? openAgain(file) else {
            throw RestoreError("the program of process \(process.pid) cannot be opened")
        }
        handles.append(program)
        let numbers = try transfer.send(handles.map(\.number), to: stub)
        for (number, set) in zip(numbers, assign) { set(number) }
        executable = numbers.last!
        return result
    }

    private func openAgain(_ file: ImageOpenFile) throws -> Descriptor? {
        guard case .regular(let regular)? = file.kind else { return nil }
        return try FileRestore(context: context).open(file, regular)
    }

    private func enterFolders(_ transfer: DescriptorTransfer) throws {
        guard let folder = context.files[Int(process.workingDirectory)] else {
            throw RestoreError("the working directory of process \(process.pid) cannot be opened")
        }
        let number = try transfer.send([folder.number], to: stub)[0]
        try stub.call(.fchdir, UInt64(number), what: "working directory")
        try stub.call(.umask, UInt64(process.umask))
    }

    /// Descriptors arrive at the lowest free numbers in ascending order of their targets, so
    /// each is at or below its target; moving them from the last to the first never collides.
    private func sendTable(_ transfer: DescriptorTransfer) throws {
        let wanted = process.descriptors.sorted { $0.number < $1.number }
            .filter { context.files[Int($0.openFile)] != nil }
        let numbers = try transfer.send(wanted.map { context.files[Int($0.openFile)]!.number }, to: stub)
        for (descriptor, number) in zip(wanted, numbers).reversed() {
            if number != descriptor.number {
                let flags = descriptor.closeOnExec ? O_CLOEXEC : 0
                try stub.call(.dup3, UInt64(number), UInt64(descriptor.number), UInt64(flags))
                try stub.call(.close, UInt64(number))
            } else if descriptor.closeOnExec {
                try stub.call(.fcntl, UInt64(number), UInt64(F_SETFD), 1)
            }
        }
        try stub.call(.close, UInt64(transfer.inside))
    }

    /// What only the process itself can open: its terminal by name, files of /proc.
    func openOwnFiles() throws {
        for descriptor in process.descriptors where context.files[Int(descriptor.openFile)] == nil {
            let file = context.inventory.openFiles[Int(descriptor.openFile)]
            guard let path = ownPath(file) else {
                throw RestoreError(
                    "descriptor \(descriptor.number) of process \(process.pid) (\(file.path)) was not restored"
                )
            }
            let flags = UInt64(file.flags & ~UInt32(FileRestore.openOnly | 0o100000))
            let number = try stub.call(.open, try stub.place(path: path), flags, 0, what: path)
            if file.position > 0 { _ = try stub.invoke(.lseek, [number, UInt64(file.position), 0]) }
            guard number != UInt64(descriptor.number) else { continue }
            try stub.call(
                .dup3, number, UInt64(descriptor.number), UInt64(descriptor.closeOnExec ? O_CLOEXEC : 0))
            try stub.call(.close, number)
        }
    }

    /// Who gets SIGIO (F_SETOWN): ids are the pod's, so a process of the pod says it.
    func restoreOwners() throws {
        for descriptor in process.descriptors {
            let file = context.inventory.openFiles[Int(descriptor.openFile)]
            let (number, async) = (UInt64(descriptor.number), UInt32(0o20000))  // O_ASYNC
            if file.owner != 0 {  // F_SETOWN
                _ = try stub.invoke(.fcntl, [number, 8, UInt64(bitPattern: Int64(file.owner))])
            }
            if file.flags & async != 0 {  // the signal tells the number it was set with
                _ = try stub.invoke(.fcntl, [number, UInt64(F_SETFL), UInt64(file.flags)])
            }
        }
    }

    private func ownPath(_ file: ImageOpenFile) -> String? {
        switch file.kind {
        case .terminal(let terminal)? where terminal.controllingName: return "/dev/tty"
        case .proc(let proc)?:
            var path = "/proc"
            if proc.pid != 0 { path += "/\(proc.pid)" }
            if proc.tid != 0 { path += "/task/\(proc.tid)" }
            return proc.rest.isEmpty ? path : path + "/" + proc.rest
        default: return nil
        }
    }

    // MARK: state

    /// Threads and everything the kernel keeps for the process. All descriptors are in place.
    func restoreState() throws {
        try signals()
        try timersBeforeThreads()
        let restore = ThreadRestore(process: process)
        threads = try restore.create(stub, context.siblings)
        for (thread, stub) in zip(process.threads, threads) where !thread.exited {
            try restore.restoreState(thread, stub)
        }
        try TimerRestore(process: process).posix(stub)
        try MemoryRestore(context, process).advise(stub)
        try limits()
        try settings()
    }

    private func signals() throws {
        for action in process.actions {
            let raw =
                bytes(of: action.handler) + bytes(of: action.flags) + bytes(of: action.restorer)
                + bytes(of: action.mask)
            try stub.call(.rtSigaction, UInt64(action.signal), try stub.place(raw), 0, 8)
        }
        for signal in process.pending {
            let info = Array(signal)
            let number = value(Int32.self, from: info)
            try stub.tracee.setSignalMask(UInt64.max)
            try stub.call(
                .rtSigqueueinfo, UInt64(process.pid), UInt64(number), try stub.place(info),
                what: "queue signal \(number)")
        }
    }

    private func timersBeforeThreads() throws {
        try TimerRestore(process: process).intervals(stub)
    }

    private func limits() throws {
        for (which, limit) in process.limits.enumerated() {
            try ResourceLimits.set(which, limit, of: stub.tracee.tid)
        }
    }

    private func settings() throws {
        if process.coreDumpFilter != 0x33,
            let file = try? Descriptor.open(
                "/proc/\(stub.tracee.tid)/coredump_filter", O_WRONLY)
        {
            let text = "0x\(String(process.coreDumpFilter, radix: 16))"
            _ = write(file.number, text, text.utf8.count)
        }
        if process.lockFuture { try stub.call(.mlockall, 2) }  // MCL_FUTURE
        if process.childSubreaper { try stub.call(.prctl, 36, 1) }
        if process.noTransparentHugePages { try stub.call(.prctl, 41, 1, 0, 0, 0) }
        let base: UInt64 = 0x3 | 0x4 | 0xe0 | 0x200  // components every thread may use
        for component: UInt64 in 17...18 where process.xstatePermission & ~base & (1 << component) != 0 {
            _ = try stub.invoke(.archPrctl, [0x1023, component])  // ARCH_REQ_XCOMP_PERM
        }
        let path = "/proc/\(stub.tracee.tid)/oom_score_adj"
        if process.oomScoreAdj != 0, let file = try? Descriptor.open(path, O_WRONLY) {
            let text = "\(process.oomScoreAdj)"
            _ = write(file.number, text, text.utf8.count)
        }
    }

    /// Ids and capabilities, last of what is injected: they may forbid the rest.
    func restoreCredentials() throws {
        for (thread, stub) in zip(process.threads, threads) where !thread.exited {
            if process.personality != 0 {
                _ = try stub.invoke(.personality, [UInt64(process.personality)])
            }
            try CredentialsRestore(credentials: thread.credentials).apply(stub)
        }
        if process.parentDeathSignal != 0 { try stub.call(.prctl, 1, UInt64(process.parentDeathSignal)) }
        if process.dumpable != 1 {
            _ = try stub.invoke(.prctl, [4, UInt64(process.dumpable)])
        } else {
            _ = try stub.invoke(.prctl, [4, 1])
        }
    }

    /// A leader that had exited exits again; then the trampoline goes and registers come.
    func finish() throws {
        let runner = process.threads.firstIndex { !$0.exited } ?? 0
        if process.threads[0].exited, runner > 0 {
            try stub.start(.exit, [0])
            try awaitZombie(stub.tracee.tid)
        }
        try MemoryRestore(context, process).removeTrampoline(threads[runner])
        try threads[runner].tracee.stopAgain()
        for (thread, stub) in zip(process.threads, threads) where !thread.exited {
            try ThreadRestore.setRegisters(thread, stub)
        }
    }

    /// A first thread's end is reported only with that of the last thread, but /proc tells of it.
    private func awaitZombie(_ tid: pid_t) throws {
        let limit = Clock.monotonic() + 10_000_000_000
        while try ProcessStatistics(pid: tid).state != UInt8(ascii: "Z") {
            guard Clock.monotonic() < limit else {
                throw RestoreError("thread \(process.pid) does not end, as it had at the checkpoint")
            }
            Clock.sleep(microseconds: 50)
        }
    }

    /// Runs from here; `inCall`: only threads that were in a system call, or only the others. A
    /// process whose first threads run may end before the last ones are let go: that is its right,
    /// and the end of the tracing thread lets go of what is left of it.
    func release(inCall: Bool) {
        for (thread, stub) in zip(process.threads, threads)
        where !thread.exited && isInCall(thread) == inCall {
            try? stub.tracee.detach()
        }
    }

    /// Returns when those threads are in their calls again, or after a moment.
    func awaitCalls(until deadline: Int64) {
        for (thread, stub) in zip(process.threads, threads) where !thread.exited && isInCall(thread) {
            while Clock.monotonic() < deadline,
                let state = try? ProcessStatistics(pid: stub.tracee.tid).state,
                state == UInt8(ascii: "R") || state == UInt8(ascii: "t")
            { sched_yield() }
        }
    }

    private func isInCall(_ thread: ImageThread) -> Bool {
        InterruptedSyscall.returnsToCall(structure(user_regs_struct(), from: thread.registers))
    }

    /// Releases a process that was stopped, into its stop.
    func releaseStopped() {
        _ = Kernel.raw(.kill, Int(stub.tracee.tid), Int(SIGSTOP))
        for inCall in [true, false] { release(inCall: inCall) }
        let deadline = Clock.monotonic() + 1_000_000_000
        while Clock.monotonic() < deadline,
            let state = try? ProcessStatistics(pid: stub.tracee.tid).state, state != UInt8(ascii: "T")
        { sched_yield() }
    }
}
