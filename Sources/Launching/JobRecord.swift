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
    /// What tells the job's processes from those of every other job that has its name: the value of
    /// FERMATA_JOB_ID in their environment, and their pid namespace (a link in /proc/PID/ns).
    public var identity: String
    public var pidNamespace: String

    init(
        job: String, coordinator: pid_t, store: String, command: [String], source: JobSource
    ) throws {
        self.job = job
        coordinatorPid = coordinator
        coordinatorStart = try ProcessStatistics(pid: coordinator).startTicks
        self.store = store
        self.command = command
        identity = source.identity
        let member = if case .pod(let job, _) = source { job.podPid } else { source.root }
        pidNamespace = ProcFS.link("/proc/\(member)/ns/pid") ?? ""
    }

    /// A value for FERMATA_JOB_ID that no other job has.
    static func newIdentity() -> String {
        (0..<2).map { _ in String(UInt64.random(in: 0...(.max)), radix: 16) }.joined(separator: "-")
    }

    static func identity(of pid: pid_t) -> String? {
        let mark = Array("FERMATA_JOB_ID=".utf8)
        guard let environment = try? ProcFS.read("/proc/\(pid)/environ") else { return nil }
        return environment.split(separator: 0).first { $0.starts(with: mark) }
            .map { String(decoding: $0.dropFirst(mark.count), as: UTF8.self) }
    }

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

    /// Processes that carry the job's identity in their environment; all that can be found of a
    /// job whose coordinator is dead.
    public func strays() -> [pid_t] {
        guard !identity.isEmpty else { return [] }
        return ((try? ProcFS.numbers(in: "/proc")) ?? []).filter { pid in
            pid != getpid() && Self.identity(of: pid) == identity
                && ProcFS.link("/proc/\(pid)/ns/pid") == pidNamespace
        }
    }
}
