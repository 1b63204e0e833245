// SPDX-License-Identifier: Apache-2.0
import CheckpointImage
import Coordination
import Glibc
import ImageStore
import LinuxSystem
import ProcessSnapshot
import Tracing

/// Carries out an agent's directives on its node. All calls come from one thread, because ptrace
/// belongs to a thread; `ended` and `progress` may be read from any.
public final class NodeAgent {
    public struct Settings: Sendable {
        public var view: JobView
        public var inherited: InheritedDescriptors
        public var store: Store
        public var job: String
        public var rootPid: @Sendable () -> pid_t
        public var manifest: ImageManifest
        /// Told of every top process that ended while it was traced: pid, raw wait status.
        public var ended: @Sendable (pid_t, Int32) -> Void
        public var ownProcesses: OwnProcesses

        public init(
            view: JobView, inherited: InheritedDescriptors, store: Store, job: String,
            rootPid: @escaping @Sendable () -> pid_t, manifest: ImageManifest,
            ended: @escaping @Sendable (pid_t, Int32) -> Void, ownProcesses: OwnProcesses
        ) {
            self.view = view
            self.inherited = inherited
            self.store = store
            self.job = job
            self.rootPid = rootPid
            self.manifest = manifest
            self.ended = ended
            self.ownProcesses = ownProcesses
        }
    }

    private let settings: Settings
    private var options = CaptureOptions(mode: .stop)
    private var capture: JobCapture?
    private var writer: EpochWriter?
    private var started: Int64 = 0
    private var frozen: Int64 = 0
    /// Stage timings in nanoseconds, in order.
    public private(set) var stages: [(name: String, nanoseconds: Int64)] = []
    public private(set) var timings = ImageTimings()

    public init(_ settings: Settings) { self.settings = settings }

    /// Before a new epoch.
    public func configure(_ options: CaptureOptions) { self.options = options }

    public var folder: String { writer?.folder ?? "" }

    /// One phase. Throws `Refusal`, `SystemError` and others; the job then still stands as the
    /// phase left it, until `abandon`.
    public func perform(_ phase: Phase, epoch: EpochNumber) throws {
        if phase != .commit { Fault.point(phase.rawValue) }
        let begin = Clock.monotonic()
        switch phase {
        case .prepare: try prepare(epoch)
        case .quiesce, .drain: break  // nothing on this node has traffic of its own to bring to rest
        case .freeze:
            frozen = begin
            try capture!.freeze()
        case .capture: try capture!.capture(rootPid: settings.rootPid())
        case .resume:
            capture!.resume()
            noteStall()
        case .persist:
            try capture!.persist()
            timings.durableNs = UInt64(Clock.monotonic() - started)
        case .commit: break  // the coordinator has renamed the manifest
        case .kill:
            capture!.kill()
            noteStall()
        }
        forwardEnds()
        stages.append((phase.rawValue, Clock.monotonic() - begin))
        if phase != .commit { Fault.point("after-" + phase.rawValue) }
    }

    private func noteStall() { timings.stallNs = UInt64(Clock.monotonic() - frozen) }

    private func forwardEnds() {
        for (pid, status) in capture?.takeEnded() ?? [:] { settings.ended(pid, status) }
    }

    private func prepare(_ epoch: EpochNumber) throws {
        stages = []
        timings = ImageTimings()
        started = Clock.monotonic()
        let (refusals, resident) = Preflight(view: settings.view).check()
        if !refusals.isEmpty { throw Refusals(refusals) }
        settings.store.removeRemains(settings.job)
        let writer = try EpochWriter(store: settings.store, job: settings.job, epoch: epoch)
        self.writer = writer
        try checkSpace(writer.folder, resident)
        capture = JobCapture(
            view: settings.view, options: options, inherited: settings.inherited, writer: writer,
            ownProcesses: settings.ownProcesses)
    }

    private func checkSpace(_ folder: String, _ needed: UInt64) throws {
        var info = statvfs()
        guard statvfs(folder, &info) == 0 else { return }
        let free = UInt64(info.f_bavail) * UInt64(info.f_frsize)
        // Pages shared between processes and pages of files are counted and not written, so a
        // little less than everything is enough; what is certain not to fit is refused.
        guard free > needed / 4 else {
            throw NoSpace(folder: folder, needed: needed, free: free)
        }
    }

    /// Lets the job go on and drops the epoch, unless it has been committed.
    public func abandon(_ epoch: EpochNumber) {
        capture?.abandon()
        forwardEnds()
        capture = nil
        if let writer, writer.epoch == epoch, !settings.store.epochs(settings.job).contains(epoch) {
            writer.discard()
        }
        writer = nil
    }

    /// Lets the job go on and keeps the epoch's files: whether they are committed is not for this
    /// node to say. What turns out to be a remainder is removed by the next checkpoint.
    public func release(_ epoch: EpochNumber) {
        capture?.abandon()
        forwardEnds()
        capture = nil
        writer = nil
    }

    /// Renames the manifest into place.
    public func commit(mode: CaptureOptions.Mode) throws {
        guard let capture, let writer else { return }
        Fault.point(Phase.commit.rawValue)
        defer { Fault.point("after-" + Phase.commit.rawValue) }
        var manifest = settings.manifest
        manifest.createdNs = Clock.realtime()
        manifest.mode = mode.rawValue
        timings.storedBytes = capture.storedBytes
        timings.zeroPages = capture.counts.zero
        timings.filePages = capture.counts.file
        timings.processes = UInt32(capture.processCount)
        timings.threads = UInt32(capture.threadCount)
        manifest.timings = timings
        try writer.commit(manifest)
    }

    public func finish() {
        capture = nil
        writer = nil
    }

    /// Bytes written so far, and how many there will be about. Any thread.
    public var progress: (done: UInt64, total: UInt64) { capture?.progress ?? (0, 0) }
}

/// Several refusals at once: everything that has to go before a checkpoint is possible.
public struct Refusals: Error, CustomStringConvertible {
    public let list: [Refusal]
    public init(_ list: [Refusal]) { self.list = list }
    public var description: String { list.map(\.description).joined(separator: "\n") }
    /// Exit status: 75 when waiting helps, else 77.
    public var code: Int32 { list.allSatisfy(\.limit.isTemporary) ? 75 : 77 }
}

struct NoSpace: Error, CustomStringConvertible {
    let folder: String
    let needed: UInt64
    let free: UInt64
    var description: String {
        "\(folder): \(free >> 20) MiB free, the job occupies \(needed >> 20) MiB; free some space or choose another folder with --store"
    }
}

/// What failed, as an exit status (sysexits(3)) and a sentence.
public func classify(_ error: any Error) -> (code: Int32, text: String) {
    switch error {
    case let error as Refusals: return (error.code, error.description)
    case let error as Refusal: return (error.limit.isTemporary ? 75 : 77, error.description)
    case let error as JobEnded: return (69, error.description)
    case let error as NoSpace: return (73, error.description)
    case let error as StoreUnusable: return (73, error.description)
    case let error as NoSuchCheckpoint: return (69, error.description)
    case RemoteError.kernel(let error): return classify(error)
    case RemoteError.vanished:
        return (75, "\(error): a process of the job ended meanwhile; try again")
    case let error as SystemError:
        switch error.code {
        case ENOENT where error.operation.contains("/proc/"), ESRCH:
            return (75, "\(error.description): a process of the job ended meanwhile; try again")
        case EACCES, EPERM: return (77, error.description)
        case ENOSPC, EDQUOT, EROFS, EEXIST, ENOTDIR, ENOENT: return (73, error.description)
        default: return (74, error.description)
        }
    case let error as ImageError: return (74, error.description)
    default: return (70, "\(error)")
    }
}
