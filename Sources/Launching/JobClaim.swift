// SPDX-License-Identifier: Apache-2.0
import CoordinatorService
import Glibc
import LinuxSystem
import Synchronization

/// The right to be the one running job of a name, taken before anything of the job is started: a
/// lock on a file beside the control sockets (fcntl(2), F_SETLK). The kernel gives it back however
/// this process ends, and no child inherits it. Any thread.
public final class JobClaim: Sendable {
    /// Somebody else has the name. Says who, and what to do.
    public struct Taken: Error, CustomStringConvertible {
        public let description: String
    }

    public let job: String
    public let runtime: RuntimeFolder
    private let file: Descriptor
    private let isReleased = Mutex(false)

    /// Throws `Taken`, or `SystemError` when the runtime folder cannot be used.
    public init(_ job: String, in runtime: RuntimeFolder) throws {
        try runtime.prepare()
        try ControlChannel.check(runtime.socket(job))
        (self.job, self.runtime) = (job, runtime)
        file = try Self.lock(job, runtime)
        guard let record = JobRecord.read(job, in: runtime) else { return }
        let processes = record.strays()
        guard processes.isEmpty else {
            release()
            throw Taken(
                description: "processes of a job named \(job) run on without their coordinator ("
                    + processes.map(String.init).joined(separator: ", ")
                    + "); end them: fermata kill \(job)")
        }
    }

    private static func lock(_ job: String, _ runtime: RuntimeFolder) throws -> Descriptor {
        let path = runtime.lock(job)
        while true {
            let file = try Descriptor.open(path, O_RDWR | O_CREAT, mode: 0o600)
            var wanted = flock()
            wanted.l_type = Int16(F_WRLCK)
            guard fcntl(file.number, F_SETLK, &wanted) == 0 else {
                let holder = JobRecord.read(job, in: runtime).map { " (process \($0.coordinatorPid))" }
                throw Taken(
                    description: "a job named \(job) is running\(holder ?? ""); end it: fermata kill \(job)")
            }
            // Who had it may have removed the file between the two calls. Not opened a second time:
            // closing that would give the lock back.
            var named = stat()
            if stat(path, &named) == 0, try named.st_ino == file.status().st_ino { return file }
        }
    }

    /// Gives the name back; once.
    public func release() {
        let isFirst = isReleased.withLock { released in
            defer { released = true }
            return !released
        }
        if isFirst { unlink(runtime.lock(job)) }
    }

    deinit { release() }
}
