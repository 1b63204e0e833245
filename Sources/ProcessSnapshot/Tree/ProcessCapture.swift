// SPDX-License-Identifier: Apache-2.0
import CLinux
import CheckpointImage
import Foundation
import Glibc
import LinuxSystem
import Tracing

/// One frozen process: its place in the tree and everything that is not memory content.
struct ProcessCapture {
    let context: CaptureContext
    let process: StoppedProcess
    private var path: String { "/proc/\(process.anchor)" }

    init(_ context: CaptureContext, _ process: StoppedProcess) {
        self.context = context
        self.process = process
    }

    func capture() throws -> ImageProcess {
        let status = try ProcessStatus(path)
        var result = try Self.place(process.pid, ProcessStatus("/proc/\(process.pid)"), context)
        result.command = JobView.command(process.pid)
        result.umask = status.umask
        result.stopped = process.threads.contains { $0.groupStop != nil }
        result.oomScoreAdj = Int32((try? ProcFS.text(path + "/oom_score_adj").trimmed) ?? "0") ?? 0
        result.limits = try ResourceLimits.all(of: process.pid)
        result.pending = try process.threads[0].pendingSignals(shared: true).map { Data($0) }
        try files(&result)
        try threads(&result, status)
        dropTimerSignals(&result)
        return result
    }

    /// Ids and relations, as the job sees them.
    static func place(
        _ pid: pid_t, _ status: ProcessStatus, _ context: CaptureContext
    ) throws -> ImageProcess {
        let statistics = try ProcessStatistics(pid: pid)
        return .with {
            $0.pid = UInt32(context.inner(pid))
            $0.parentPid =
                statistics.parent == context.view.reaper
                ? 0 : UInt32(max(0, context.inner(statistics.parent)))
            $0.group = UInt32(max(0, status.namespaceGroups.last ?? 0))
            $0.session = UInt32(max(0, status.namespaceSessions.last ?? 0))
        }
    }

    static func zombie(_ pid: pid_t, _ context: CaptureContext) throws -> ImageProcess {
        let status = try ProcessStatus("/proc/\(pid)")
        var result = try place(pid, status, context)
        result.zombie = true
        result.waitStatus = try ProcessStatistics(pid: pid).exitCode
        result.threads = [
            .with {
                $0.tid = result.pid; $0.exited = true; $0.name = status.name
            }
        ]
        return result
    }

    private func files(_ result: inout ImageProcess) throws {
        result.descriptors = try context.openFiles.capture(process.anchor)
        let cwd = try Descriptor.open(path + "/cwd", O_RDONLY | O_DIRECTORY)
        result.workingDirectory = try context.openFiles.adopt(cwd)
        let executable = try Descriptor.open(path + "/exe", O_RDONLY)
        result.executable = try context.openFiles.adopt(executable)
        result.coreDumpFilter =
            UInt32((try? ProcFS.text(path + "/coredump_filter").trimmed) ?? "", radix: 16) ?? 0x33
        result.personality =
            UInt32((try? ProcFS.text(path + "/personality").trimmed) ?? "", radix: 16) ?? 0
        result.root = ProcFS.link(path + "/root") ?? "/"
    }

    private func threads(_ result: inout ImageProcess, _ status: ProcessStatus) throws {
        if process.threads[0].tid != process.pid {
            // The leader called pthread_exit; its id lives on as a zombie.
            result.threads.append(
                .with {
                    $0.tid = result.pid
                    $0.exited = true
                    $0.name = status.name
                })
        }
        for (i, thread) in process.threads.enumerated() {
            try checkSharing(thread)
            let capture = ThreadCapture(process, thread)
            var image = try capture.capture()
            try process.withRemoteSyscalls(in: thread) { remote in
                try capture.ask(remote, &image)
                if i == 0 { try ask(remote, &result, status) }
            }
            result.threads.append(image)
        }
    }

    /// A periodic timer that has expired and whose signal still waits is restored as one that is
    /// about to expire: signal and overruns then come from it, and from nothing else.
    private func dropTimerSignals(_ result: inout ImageProcess) {
        let timers = result.posixTimers
        func expired(_ signal: Data) -> Int? {
            let info = Array(signal)
            guard value(Int32.self, from: info, at: 8) == -2 else { return nil }  // SI_TIMER
            let id = value(Int32.self, from: info, at: 16)
            return timers.firstIndex { $0.id == id && $0.intervalNs > 0 }
        }
        var due = result.pending.compactMap(expired)
        result.pending.removeAll { expired($0) != nil }
        for i in result.threads.indices {
            due += result.threads[i].pending.compactMap(expired)
            result.threads[i].pending.removeAll { expired($0) != nil }
        }
        for i in due { result.posixTimers[i].remainingNs = 1 }
    }

    /// Threads have one descriptor table, one working directory (clone(2), CLONE_FILES, CLONE_FS),
    /// and no other process has the same.
    private func checkSharing(_ thread: Tracee) throws {
        let (files, folder, memory) = (2, 3, 1)  // KCMP_FILES, KCMP_FS, KCMP_VM
        for kind in [files, folder] where thread.tid != process.anchor {
            guard Kernel.raw(.kcmp, Int(process.anchor), Int(thread.tid), kind) == 0 else {
                throw context.refusal(.sharedTable, process.pid, "thread \(thread.tid) has its own")
            }
        }
        guard thread.tid == process.anchor else { return }
        for other in context.processes where other.pid < process.pid {
            for kind in [files, folder, memory]
            where Kernel.raw(.kcmp, Int(process.anchor), Int(other.anchor), kind) == 0 {
                throw context.refusal(
                    .sharedTable, process.pid, "shared with process \(context.inner(other.pid))")
            }
        }
    }

    /// Process-wide state that only the process can be asked for.
    private func ask(
        _ remote: borrowing RemoteSyscalls, _ result: inout ImageProcess, _ status: ProcessStatus
    ) throws {
        let brk = try remote.call(.brk, 0)
        result.actions = try actions(remote)
        result.intervalTimers = try TimerCapture.intervals(remote)
        let pid = process.pid
        result.posixTimers = try TimerCapture.posix(pid, remote) { tid in
            (try? ProcessStatus("/proc/\(pid)/task/\(tid)"))?.namespacePids.last ?? tid
        }
        try remote.call(.prctl, 2, remote.scratch)  // PR_GET_PDEATHSIG
        result.parentDeathSignal = try remote.read(UInt32.self)
        try remote.call(.prctl, 37, remote.scratch)  // PR_GET_CHILD_SUBREAPER
        result.childSubreaper = try remote.read(UInt32.self) != 0
        result.dumpable = UInt32(try remote.call(.prctl, 3))
        result.noTransparentHugePages = try remote.call(.prctl, 42) != 0
        if try remote.invoke(.archPrctl, [0x1022, remote.scratch]) == 0 {  // ARCH_GET_XCOMP_PERM
            result.xstatePermission = try remote.read(UInt64.self)
        }
        result.memory = try MemoryCapture(context: context, process: process).capture(brk: brk)
        result.memory.protectionKeys = try ProtectionKeys.allocated(remote)
        if status.lockedKiB > 0 || result.memory.protectionKeys != 0 {
            try MemoryCapture.addFlags(&result.memory, from: process.anchor)
        }
        if status.lockedKiB > 0 { result.lockFuture = try MemoryCapture.isScratchLocked(process) }
    }

    /// Dispositions (sigaction(2)). /proc names only those that are caught or ignored, and flags
    /// may be set on a default action too, so each is asked for.
    private func actions(_ remote: borrowing RemoteSyscalls) throws -> [ImageSignalAction] {
        let signals = (1...64).filter { $0 != SIGKILL && $0 != SIGSTOP }
        let results = try remote.invokeAll(
            signals.enumerated().map { i, signal in
                (.rtSigaction, [UInt64(signal), 0, remote.scratch + UInt64(i) * 32, 8])
            })
        try results.forEach { try Kernel.check($0, "sigaction in process \(process.pid)") }
        let raw = try remote.readBytes(signals.count * 32)
        var result: [ImageSignalAction] = []
        for (i, signal) in signals.enumerated() {
            let words = (0..<4).map { value(UInt64.self, from: raw, at: i * 32 + $0 * 8) }
            guard words != [0, 0, 0, 0] else { continue }
            result.append(
                .with {
                    $0.signal = UInt32(signal)
                    $0.handler = words[0]
                    $0.flags = words[1]
                    $0.restorer = words[2]
                    $0.mask = words[3]
                })
        }
        return result
    }
}
