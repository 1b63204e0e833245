// SPDX-License-Identifier: Apache-2.0
import Glibc
import LinuxSystem

/// The job as its supervisor sees it: which processes belong to it and how ids translate.
///
/// Native jobs run in the supervisor's own pid namespace; restarted ones in a pod, whose ids
/// are the innermost of /proc/PID/status NSpid.
public struct JobView: Sendable {
    /// The process whose children are the job's top processes: Fermata itself (it is their
    /// subreaper), or the pod's first process.
    public let reaper: pid_t
    public let isPod: Bool
    /// When the job began, seconds of CLOCK_REALTIME: System V objects of its users that are
    /// younger count as the job's own.
    public let startedSeconds: Int64
    /// Children of `reaper` that are Fermata's own.
    public let excluded: @Sendable () -> Set<pid_t>

    public init(
        reaper: pid_t, isPod: Bool, startedSeconds: Int64 = 0,
        excluded: @escaping @Sendable () -> Set<pid_t>
    ) {
        self.reaper = reaper
        self.isPod = isPod
        self.startedSeconds = startedSeconds
        self.excluded = excluded
    }

    public func roots() -> [pid_t] {
        let mine = excluded()
        return ProcFS.children(of: reaper).filter { !mine.contains($0) }
    }

    public func processes() -> [pid_t] {
        var result = roots()
        var next = 0
        while next < result.count {
            result += ProcFS.children(of: result[next])
            next += 1
        }
        return result
    }

    /// The id that the job itself sees.
    public static func inner(_ pid: pid_t) -> pid_t {
        (try? ProcessStatus("/proc/\(pid)"))?.namespacePids.last ?? pid
    }

    public static func command(_ pid: pid_t) -> String {
        let bytes = (try? ProcFS.read("/proc/\(pid)/cmdline")) ?? []
        let text = String(decoding: bytes.map { $0 == 0 ? 32 : $0 }, as: UTF8.self)
        if !text.isEmpty { return String(text.prefix(200).dropLast(text.hasSuffix(" ") ? 1 : 0)) }
        return ((try? ProcFS.text("/proc/\(pid)/comm")) ?? "?").trimmingNewline
    }
}

extension String {
    var trimmingNewline: String { hasSuffix("\n") ? String(dropLast()) : self }
}
