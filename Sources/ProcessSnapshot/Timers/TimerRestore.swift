// SPDX-License-Identifier: Apache-2.0
import CheckpointImage
import Glibc
import LinuxSystem
import Tracing

/// Interval and POSIX timers, with the time that was left.
struct TimerRestore {
    let process: ImageProcess

    func intervals(_ stub: Stub) throws {
        for (which, timer) in process.intervalTimers.enumerated()
        where timer.valueUs != 0 || timer.intervalUs != 0 {
            // Expired, and its signal still waits: the kernel would start it again on delivery.
            let value = timer.valueUs != 0 ? timer.valueUs : timer.intervalUs
            let raw = [timer.intervalUs, value].flatMap {
                bytes(of: $0 / 1_000_000) + bytes(of: $0 % 1_000_000)
            }
            try stub.call(.setitimer, UInt64(which), try stub.place(raw), 0)
        }
    }

    /// Threads exist: a timer may notify one of them. Ids are set through
    /// PR_TIMER_CREATE_RESTORE_IDS (Linux 6.15), else by making and deleting timers until the
    /// kernel's counter comes by.
    func posix(_ stub: Stub) throws {
        guard !process.posixTimers.isEmpty else { return }
        let exact = try stub.invoke(.prctl, [77, 1, 0, 0, 0]) == 0
        for timer in process.posixTimers.sorted(by: { $0.id < $1.id }) {
            try create(timer, stub, exact: exact)
            // Expired, and its signal still waits: the kernel would start it again on delivery.
            let remaining = timer.remainingNs > 0 ? timer.remainingNs : timer.intervalNs
            let setting = [timer.intervalNs, remaining].flatMap {
                bytes(of: $0 / 1_000_000_000) + bytes(of: $0 % 1_000_000_000)
            }
            if remaining > 0 {
                try stub.call(
                    .timerSettime, UInt64(UInt32(bitPattern: timer.id)), 0, try stub.place(setting), 0)
            }
        }
        if exact { _ = try stub.invoke(.prctl, [77, 0, 0, 0, 0]) }
    }

    private func create(_ timer: ImagePosixTimer, _ stub: Stub, exact: Bool) throws {
        // struct sigevent: value, signo, notify, tid
        let event =
            bytes(of: timer.value) + bytes(of: timer.signal) + bytes(of: timer.notify)
            + bytes(of: Int32(bitPattern: timer.tid)) + [UInt8](repeating: 0, count: 44)
        for _ in 0..<100_000 {
            try stub.place(event, at: 64)
            try stub.place(value: timer.id, at: 0)
            try stub.call(
                .timerCreate, UInt64(UInt32(bitPattern: timer.clock)), stub.scratch + 64, stub.scratch,
                what: "timer \(timer.id)")
            let made = try stub.read(Int32.self)
            if made == timer.id { return }
            guard !exact else { break }
            try stub.call(.timerDelete, UInt64(UInt32(bitPattern: made)))
        }
        throw RestoreError("timer \(timer.id) of process \(process.pid) cannot have its id again")
    }
}
