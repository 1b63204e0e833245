// SPDX-License-Identifier: Apache-2.0
import CheckpointImage
import LinuxSystem
import Glibc

/// Resource limits of another process (prlimit(2)); `which`: RLIMIT_….
enum ResourceLimits {
    static func get(_ which: Int, of pid: pid_t) throws(SystemError) -> ImageResourceLimit {
        var pair: (UInt64, UInt64) = (0, 0)
        let code = withUnsafeMutablePointer(to: &pair) {
            Kernel.raw(.prlimit, Int(pid), which, 0, Int(bitPattern: $0))
        }
        try Kernel.check(code, "read resource limit \(which) of process \(pid)")
        return .with {
            $0.soft = pair.0; $0.hard = pair.1
        }
    }

    /// All of them, by index, from /proc/PID/limits: prlimit(2) of another user's process needs
    /// CAP_SYS_RESOURCE even to read.
    static func all(of pid: pid_t) throws(SystemError) -> [ImageResourceLimit] {
        try ProcFS.text("/proc/\(pid)/limits").split(separator: "\n").dropFirst().prefix(16).map {
            line in
            // "Max open files            1024                 524288               files"
            let words = line.dropFirst(26).split(separator: " ")
            func number(_ i: Int) -> UInt64 {
                i < words.count ? UInt64(words[i]) ?? UInt64.max : UInt64.max
            }
            return .with {
                $0.soft = number(0); $0.hard = number(1)
            }
        }
    }

    /// Raising a hard limit needs CAP_SYS_RESOURCE; an equal one is not touched.
    static func set(_ which: Int, _ limit: ImageResourceLimit, of pid: pid_t) throws(SystemError) {
        guard try get(which, of: pid) != limit else { return }
        var pair = (limit.soft, limit.hard)
        let code = withUnsafeMutablePointer(to: &pair) {
            Kernel.raw(.prlimit, Int(pid), which, Int(bitPattern: $0), 0)
        }
        try Kernel.check(code, "set resource limit \(which) to \(limit.soft):\(limit.hard)")
    }
}
