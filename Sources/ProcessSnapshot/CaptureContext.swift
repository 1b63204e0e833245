// SPDX-License-Identifier: Apache-2.0
import CheckpointImage
import Glibc
import ImageStore
import LinuxSystem
import Tracing

/// How a checkpoint is taken.
public struct CaptureOptions: Sendable {
    public enum Mode: String, Sendable, CaseIterable { case stop, fork }
    /// What is kept of regular files that the job may write.
    public enum FilePolicy: String, Sendable, CaseIterable { case copy, truncate, none }
    public var mode: Mode
    public var files: FilePolicy

    public init(mode: Mode, files: FilePolicy = .copy) {
        self.mode = mode
        self.files = files
    }
}

/// What the parts of a capture share: the frozen job, and the inventory that grows.
final class CaptureContext {
    let view: JobView
    let options: CaptureOptions
    let processes: [StoppedProcess]
    let inherited: InheritedDescriptors
    var inventory = ImageInventory()
    /// inner pid by the supervisor's pid, of live and dead processes
    var innerPids: [pid_t: pid_t] = [:]
    var savedFiles: [FileIdentity: UInt32] = [:]
    var backingFiles: [FileIdentity: UInt32] = [:]
    var sharedObjects: [FileIdentity: UInt32] = [:]
    /// What a private mapping of a file is backed by, by what /proc/PID/maps says of the file: a
    /// library is looked at once, not in every process and for every segment.
    var privateMappings: [MappedFile: (backing: ImageMapping.Backing, object: UInt32)] = [:]
    /// Descriptors through which saved files and shared objects are read in the same stop.
    var savedSources: [Descriptor] = []
    var sharedSources: [Descriptor] = []
    /// SO_REUSEADDR of locked TCP sockets, by inode.
    var reuseAddress: [UInt64: Int32] = [:]
    /// Listening TCP sockets, and how many connections wait to be accepted.
    var acceptQueues: [(source: DescriptorSource, port: UInt16, waiting: UInt32)] = []
    /// Masters of pseudo-terminals that the job holds, by number.
    var terminalMasters: [UInt32: Descriptor] = [:]
    lazy var openFiles = OpenFileTable(self)
    lazy var unixSockets = UnixSocketTable()

    init(
        view: JobView, options: CaptureOptions, processes: [StoppedProcess],
        inherited: InheritedDescriptors
    ) {
        self.view = view
        self.options = options
        self.processes = processes
        self.inherited = inherited
    }

    func inner(_ pid: pid_t) -> pid_t {
        if let known = innerPids[pid] { return known }
        let value = JobView.inner(pid)
        innerPids[pid] = value
        return value
    }

    /// The supervisor's pid of a process that the job calls `inner`.
    func outer(_ inner: pid_t) -> pid_t? { innerPids.first { $0.value == inner }?.key }

    func refusal(_ limit: Limit, _ pid: pid_t, _ resource: String) -> Refusal {
        Refusal(limit, pid: inner(pid), command: JobView.command(pid), resource: resource)
    }
}

struct MappedFile: Hashable {
    let device: UInt64
    let inode: UInt64
    let path: String
}

/// Device and inode: which file it is, whatever its name.
struct FileIdentity: Hashable {
    let device: UInt64
    let inode: UInt64

    init(_ status: stat) {
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
    }
}
