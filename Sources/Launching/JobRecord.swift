// SPDX-License-Identifier: Apache-2.0
import CoordinatorService
import Foundation
import Glibc
import LinuxSystem

/// What is written down of a running job, for the time when its coordinator does not answer.
public struct JobRecord: Codable, Sendable {
    public var job: String
    public var coordinatorPid: Int32
    public var coordinatorStart: UInt64
    public var store: String
    public var command: [String]

    public func write(to folder: RuntimeFolder) throws {
        let path = folder.record(job)
        let data = try JSONEncoder().encode(self)
        try data.write(to: URL(fileURLWithPath: path + ".new"))
        guard rename(path + ".new", path) == 0 else {
            throw SystemError(code: errno, operation: "write \(path)")
        }
    }

    public static func read(_ job: String, in folder: RuntimeFolder) -> JobRecord? {
        guard let data = FileManager.default.contents(atPath: folder.record(job)) else { return nil }
        return try? JSONDecoder().decode(JobRecord.self, from: data)
    }

    public func remove(from folder: RuntimeFolder) {
        unlink(folder.record(job))
        unlink(folder.socket(job))
    }

    /// The coordinator lives: same pid, same start time, and not a zombie.
    public var isAlive: Bool {
        guard let process = try? ProcessStatistics(pid: coordinatorPid) else { return false }
        return process.startTicks == coordinatorStart && process.state != UInt8(ascii: "Z")
    }

    /// Processes that carry the job's name in their environment; all that can be found of a job
    /// whose coordinator is dead.
    public func strays() -> [pid_t] {
        let mark = Array("FERMATA_JOB=\(job)".utf8)
        return ((try? ProcFS.numbers(in: "/proc")) ?? []).filter { pid in
            guard pid != getpid(), let environment = try? ProcFS.read("/proc/\(pid)/environ") else {
                return false
            }
            return environment.split(separator: 0).contains { Array($0) == mark }
        }
    }
}
