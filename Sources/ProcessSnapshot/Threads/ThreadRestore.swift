// SPDX-License-Identifier: Apache-2.0
import CLinux
import CheckpointImage
import Glibc
import LinuxSystem
import Tracing

/// Threads of one process: created with their ids, given their kernel state, and last of all
/// their registers.
struct ThreadRestore {
    let process: ImageProcess

    /// CLONE_VM|FS|FILES|SIGHAND|THREAD|SYSVSEM
    private static let threadFlags: UInt64 = 0x100 | 0x200 | 0x400 | 0x800 | 0x10000 | 0x40000

    /// Creates all but the leader. The result is in the order of `process.threads`.
    func create(_ leader: Stub, _ siblings: SiblingThreads) throws -> [Stub] {
        var result = [leader]
        for thread in process.threads.dropFirst() {
            var arguments = fermata_clone_args()
            arguments.flags = Self.threadFlags
            arguments.set_tid = leader.scratch + 256
            arguments.set_tid_size = 1
            try leader.place(value: arguments)
            try leader.place(value: Int32(bitPattern: thread.tid), at: 256)
            try leader.call(
                .clone3, leader.scratch, UInt64(MemoryLayout<fermata_clone_args>.size),
                what: "thread \(thread.tid)")
            let tracee = Tracee(tid: leader.tracee.lastChild)
            siblings.add(tracee.tid)
            try Stub.awaitStop(tracee)
            result.append(try leader.sibling(tracee))
        }
        return result
    }

    /// Everything but registers and mask.
    func restoreState(_ thread: ImageThread, _ stub: Stub) throws {
        if thread.tidAddress != 0 { try stub.call(.setTidAddress, thread.tidAddress) }
        if thread.robustList != 0 {
            try stub.call(.setRobustList, thread.robustList, thread.robustListBytes)
        }
        if thread.rseqAddress != 0 {
            try stub.call(
                .rseq, thread.rseqAddress, UInt64(thread.rseqBytes), 0, UInt64(thread.rseqSignature),
                what: "register")
        }
        let disabled: UInt32 = 2  // SS_DISABLE
        if thread.altstackFlags & disabled == 0 {
            let onStack: UInt32 = 1  // SS_ONSTACK, reported but not settable
            let stack =
                bytes(of: thread.altstackAddress)
                + bytes(of: thread.altstackFlags & ~onStack) + bytes(of: UInt32(0))
                + bytes(of: thread.altstackBytes)
            _ = try stub.invoke(.sigaltstack, [try stub.place(stack), 0])
        }
        let name = try stub.place(path: thread.name)
        try stub.call(.prctl, 15, name)  // PR_SET_NAME
        if thread.timerSlackNs > 0 { _ = try stub.invoke(.prctl, [29, thread.timerSlackNs]) }
        for signal in thread.pending {
            let info = Array(signal)
            let number = value(Int32.self, from: info)
            try stub.call(
                .rtTgsigqueueinfo, UInt64(process.pid), UInt64(thread.tid), UInt64(number),
                try stub.place(info),
                what: "queue signal \(number)")
        }
        try scheduling(thread, stub)
    }

    private func scheduling(_ thread: ImageThread, _ stub: Stub) throws {
        let tid = Int(stub.tracee.tid)
        var attributes = fermata_sched_attr()
        attributes.size = UInt32(MemoryLayout<fermata_sched_attr>.size)
        attributes.policy = thread.schedulingPolicy
        attributes.priority = thread.schedulingPriority
        attributes.nice = thread.nice
        attributes.flags = thread.schedulingFlags
        if thread.schedulingPolicy != 0 || thread.nice != 0 || thread.schedulingFlags != 0 {
            let code = withUnsafeMutablePointer(to: &attributes) {
                Kernel.raw(.schedSetattr, tid, Int(bitPattern: $0), 0)
            }
            try Kernel.check(code, "sched_setattr of thread \(thread.tid)")
        }
        // sched_setattr leaves the nice value alone for SCHED_IDLE and the real-time policies.
        if thread.nice != 0 { _ = Kernel.raw(.setpriority, 0, tid, Int(thread.nice)) }
        if thread.ioPriority != 0 { _ = Kernel.raw(.ioprioSet, 1, tid, Int(thread.ioPriority)) }
    }

    /// After this nothing may be injected any more: until here the stub shares the tracer's CPU.
    static func setRegisters(_ thread: ImageThread, _ stub: Stub) throws {
        // CPUs that this machine lacks are left out by the kernel; with none left it refuses.
        let affinity = Affinity(mask: Array(thread.affinity)).lasting
        if !affinity.apply(to: stub.tracee.tid) { Affinity.all.apply(to: stub.tracee.tid) }
        try stub.tracee.setExtendedState(Array(thread.xstate))
        try stub.tracee.setRegisters(structure(user_regs_struct(), from: thread.registers))
        try stub.tracee.setSignalMask(thread.signalMask)
    }
}
