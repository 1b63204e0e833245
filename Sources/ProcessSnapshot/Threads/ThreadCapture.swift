// SPDX-License-Identifier: Apache-2.0
import CLinux
import CheckpointImage
import Foundation
import Glibc
import LinuxSystem
import Tracing

/// Everything that belongs to one thread: registers, signal mask and stack, rseq, robust list,
/// scheduling.
struct ThreadCapture {
    let process: StoppedProcess
    let thread: Tracee
    let path: String

    init(_ process: StoppedProcess, _ thread: Tracee) {
        self.process = process
        self.thread = thread
        path = "/proc/\(process.pid)/task/\(thread.tid)"
    }

    /// What the tracer can read from outside.
    func capture() throws -> ImageThread {
        var result = ImageThread()
        let mask = try process.original(thread).mask
        result.tid = UInt32(try ProcessStatus(path).namespacePids.last ?? thread.tid)
        let rseq = try thread.rseq()
        result.registers = Data(
            bytes(
                of: try outsideCriticalSection(process.restorable(thread), rseq)))
        result.xstate = Data(try thread.extendedState())
        result.signalMask = mask
        result.rseqAddress = rseq.pointer
        result.rseqBytes = rseq.size
        result.rseqSignature = rseq.signature
        try robustList(&result)
        result.name = try ProcFS.text(path + "/comm").trimmingNewline
        result.pending = try thread.pendingSignals(shared: false).map { Data($0) }
        try scheduling(&result)
        if let slack = try? ProcFS.text("/proc/\(thread.tid)/timerslack_ns").trimmed {
            result.timerSlackNs = UInt64(slack) ?? 0
        }
        return result
    }

    /// What only the thread itself can be asked.
    func ask(_ remote: borrowing RemoteSyscalls, _ result: inout ImageThread) throws {
        result.credentials = try CredentialsCapture.capture(ProcessStatus(path), remote)
        try remote.call(.prctl, 40, remote.scratch)  // PR_GET_TID_ADDRESS
        result.tidAddress = try remote.read(UInt64.self)
        try remote.call(.sigaltstack, 0, remote.scratch)
        result.altstackAddress = try remote.read(UInt64.self)
        result.altstackFlags = try remote.read(UInt32.self, at: 8)
        result.altstackBytes = try remote.read(UInt64.self, at: 16)
    }

    /// A thread stopped inside a restartable sequence goes on at its abort handler, as the
    /// kernel would have it after any interruption (rseq(2), kernel/rseq.c).
    private func outsideCriticalSection(
        _ registers: user_regs_struct, _ rseq: fermata_rseq_configuration
    ) throws -> user_regs_struct {
        guard rseq.pointer != 0 else { return registers }
        let section = try process.memory.value(UInt64.self, at: rseq.pointer + 8)
        guard section != 0 else { return registers }
        let descriptor = try process.memory.read(section, count: 32)
        let start = value(UInt64.self, from: descriptor, at: 8)
        let length = value(UInt64.self, from: descriptor, at: 16)
        guard registers.rip &- start < length else { return registers }
        var moved = registers
        moved.rip = value(UInt64.self, from: descriptor, at: 24)
        return moved
    }

    private func robustList(_ result: inout ImageThread) throws {
        var head: UInt64 = 0
        var length: UInt64 = 0
        let code = withUnsafeMutablePointer(to: &head) { h in
            withUnsafeMutablePointer(to: &length) { l in
                Kernel.raw(.getRobustList, Int(thread.tid), Int(bitPattern: h), Int(bitPattern: l))
            }
        }
        try Kernel.check(code, "get_robust_list of thread \(thread.tid)")
        result.robustList = head
        result.robustListBytes = length
    }

    private func scheduling(_ result: inout ImageThread) throws {
        var attributes = fermata_sched_attr()
        let size = MemoryLayout<fermata_sched_attr>.size
        let code = withUnsafeMutablePointer(to: &attributes) {
            Kernel.raw(.schedGetattr, Int(thread.tid), Int(bitPattern: $0), size, 0)
        }
        try Kernel.check(code, "sched_getattr of thread \(thread.tid)")
        result.schedulingPolicy = attributes.policy
        result.schedulingPriority = attributes.priority
        result.nice = attributes.nice
        result.schedulingFlags = attributes.flags
        result.affinity = Data(try Affinity(of: thread.tid).mask)
        let priority = Kernel.raw(.ioprioGet, 1, Int(thread.tid))  // IOPRIO_WHO_PROCESS
        if priority > 0 { result.ioPriority = UInt32(priority) }
    }
}
