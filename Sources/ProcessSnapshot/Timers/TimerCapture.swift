// SPDX-License-Identifier: Apache-2.0
import CheckpointImage
import Glibc
import LinuxSystem
import Tracing

/// Interval timers (setitimer(2)) and POSIX timers (timer_create(2)). Remaining times are read
/// inside the process; what a timer is, from /proc/PID/timers.
enum TimerCapture {
    static func intervals(_ remote: borrowing RemoteSyscalls) throws -> [ImageIntervalTimer] {
        try (0..<3).map { which in
            try remote.call(.getitimer, UInt64(which), remote.scratch)
            let raw = try remote.readBytes(32)
            func microseconds(_ at: Int) -> UInt64 {
                value(UInt64.self, from: raw, at: at) * 1_000_000
                    + value(UInt64.self, from: raw, at: at + 8)
            }
            return .with {
                $0.intervalUs = microseconds(0); $0.valueUs = microseconds(16)
            }
        }
    }

    static func posix(
        _ pid: pid_t, _ remote: borrowing RemoteSyscalls, innerThread: (pid_t) -> pid_t
    ) throws -> [ImagePosixTimer] {
        var result: [ImagePosixTimer] = []
        // "ID: 0\nsignal: 14/00007ffe…\nnotify: signal/pid.2634\nClockID: 1\n"
        for line in try ProcFS.text("/proc/\(pid)/timers").split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 1).map { String($0).trimmed }
            guard parts.count == 2 else { continue }
            switch parts[0] {
            case "ID": result.append(.with { $0.id = Int32(parts[1]) ?? 0 })
            case "signal":
                let words = parts[1].split(separator: "/").map(String.init)
                result[result.count - 1].signal = Int32(words[0]) ?? 0
                result[result.count - 1].value = UInt64(words.last ?? "0", radix: 16) ?? 0
            case "notify":
                let words = parts[1].split { "/.".contains($0) }.map(String.init)
                let kinds = ["signal": Int32(0), "none": 1, "thread": 2]
                let isThread = words.contains("tid")
                result[result.count - 1].notify = (kinds[words[0]] ?? 0) | (isThread ? 4 : 0)
                if isThread, let tid = words.last.flatMap({ pid_t($0) }) {
                    result[result.count - 1].tid = UInt32(innerThread(tid))
                }
            case "ClockID": result[result.count - 1].clock = Int32(parts[1]) ?? 0
            default: break
            }
        }
        for i in result.indices {
            try remote.call(.timerGettime, UInt64(UInt32(bitPattern: result[i].id)), remote.scratch)
            let raw = try remote.readBytes(32)
            func nanoseconds(_ at: Int) -> Int64 {
                value(Int64.self, from: raw, at: at) * 1_000_000_000
                    + value(Int64.self, from: raw, at: at + 8)
            }
            result[i].intervalNs = nanoseconds(0)
            result[i].remainingNs = nanoseconds(16)
        }
        return result
    }
}
