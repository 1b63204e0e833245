// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Everything that Fermata knows it cannot carry. docs/limits.md is generated from this table
/// (`fermata doctor --limits`), and every case has a test.
public enum Limit: String, CaseIterable, Sendable {
    case ioUring = "io_uring"
    case outsideConnection = "outside-connection"
    case packetSocket = "packet-socket"
    case otherSocket = "socket-family"
    case userfaultfd
    case perfEvent = "perf-event"
    case bpf
    case fanotify
    case otherAnonymousInode = "anonymous-inode"
    case nestedPidNamespace = "nested-pid-namespace"
    case otherNamespace = "other-namespace"
    case traced
    case seccomp
    case device
    case changedRoot = "changed-root"
    case sharedTable = "shared-table"
    case vfork
    case uninterruptible
    case deviceMapping = "device-mapping"
    case hugePages = "huge-pages"
    case shadowStack = "shadow-stack"
    case messageQueueFile = "posix-message-queue"
    case pendingData = "accept-queue-data"
    case inotifyEvents = "inotify-events"
    case outsidePipe = "outside-peer"
    case processOutside = "outside-process"
    case lostName = "lost-name"
    case thirtyTwoBit = "32-bit"
    case noInjection = "no-vdso"
    case lease
    case urgentData = "urgent-data"
    case socketFilter = "socket-filter"
    case networkPrivilege = "network-privilege"

    /// The limit behind what /proc/PID/fd or /proc/PID/map_files calls "anon_inode:…"; nil for
    /// other links, and for kinds that are carried or that only `EventCapture` can judge.
    init?(anonymousInode link: String) {
        guard link.hasPrefix("anon_inode:") else { return nil }
        let kinds: [(String, Limit)] = [
            ("[io_uring]", .ioUring), ("[userfaultfd]", .userfaultfd), ("[perf_event]", .perfEvent),
            ("[fanotify]", .fanotify), ("bpf", .bpf),
        ]
        guard let found = kinds.first(where: { link.dropFirst(11).hasPrefix($0.0) }) else { return nil }
        self = found.1
    }

    /// What it is, for the table.
    public var title: String { text.0 }
    /// Why it cannot be carried.
    public var reason: String { text.1 }
    /// What a person can do.
    public var remedy: String { text.2 }
    /// True when trying again a little later may succeed (exit status 75 instead of 77).
    public var isTemporary: Bool {
        [.vfork, .uninterruptible, .pendingData, .inotifyEvents, .urgentData].contains(self)
    }

    private var text: (String, String, String) {
        switch self {
        case .ioUring:
            (
                "an io_uring instance", "requests in flight live in the kernel and cannot be read back",
                "turn io_uring off in the program (for Node.js: UV_USE_IO_URING=0)"
            )
        case .outsideConnection:
            (
                "a TCP connection to a peer outside the job",
                "the peer cannot be stopped and would go on",
                "close it before the checkpoint, or start the peer inside the job"
            )
        case .packetSocket:
            (
                "an AF_PACKET or raw socket", "what it receives does not belong to the job alone",
                "close it before the checkpoint"
            )
        case .otherSocket:
            (
                "a socket of a family other than Unix, IPv4, IPv6 and netlink",
                "its state cannot be read",
                "close it before the checkpoint"
            )
        case .userfaultfd:
            ("a userfaultfd", "the regions it watches cannot be read from outside", "run without it")
        case .perfEvent:
            ("a perf event", "counters cannot be set", "stop profiling during the checkpoint")
        case .bpf: ("a BPF object", "programs and maps belong to the host's kernel", "close it first")
        case .fanotify: ("a fanotify group", "it watches the whole host", "close it first")
        case .otherAnonymousInode: ("an unknown kernel object", "Fermata does not know it", "report it")
        case .nestedPidNamespace:
            (
                "a process in a pid namespace of its own", "only one level of namespaces is carried",
                "start Fermata inside that namespace instead"
            )
        case .otherNamespace:
            (
                "a process in a mount, network, IPC, UTS or user namespace of its own",
                "the job must share the namespaces of its first process", "start Fermata inside it"
            )
        case .traced:
            (
                "a process under a debugger", "a process can have only one tracer",
                "detach gdb or strace first"
            )
        case .seccomp:
            ("a seccomp filter", "the filter would judge Fermata's own calls", "run without the sandbox")
        case .device:
            (
                "an open device", "its state is in hardware or in a driver",
                "close it before the checkpoint"
            )
        case .changedRoot:
            ("a changed root directory", "paths would not be found again", "start Fermata inside it")
        case .sharedTable:
            (
                "a descriptor table or memory shared between processes that are not threads",
                "clone(2) with CLONE_FILES or CLONE_VM alone is not carried", "none known"
            )
        case .vfork:
            (
                "a parent waiting in vfork", "it cannot be stopped before its child executes a program",
                "try again"
            )
        case .uninterruptible:
            (
                "a thread in an uninterruptible wait", "the kernel does not let it be stopped",
                "look at the file system or device it waits for, then try again"
            )
        case .deviceMapping: ("a mapping of a device", "its content is in hardware", "unmap it first")
        case .hugePages:
            ("a hugetlbfs mapping", "pages of that size are not carried", "use transparent huge pages")
        case .shadowStack:
            (
                "a shadow stack", "it cannot be set from outside",
                "run with GLIBC_TUNABLES=glibc.cpu.x86_shstk=off"
            )
        case .messageQueueFile:
            (
                "a POSIX message queue", "messages cannot be read without taking them",
                "use System V queues"
            )
        case .pendingData:
            (
                "a connection not accepted yet that carries data, or whose client has gone",
                "the kernel gives no way to read it without accepting it", "try again"
            )
        case .inotifyEvents: ("inotify events not yet read", "they cannot be put back", "try again")
        case .outsidePipe:
            (
                "a pipe or Unix socket whose other end is outside the job",
                "what is under way in it cannot be saved",
                "start the other end inside the job, or give it as standard input or output"
            )
        case .processOutside:
            (
                "a reference to a process outside the job", "it does not exist after restart",
                "close it first"
            )
        case .lostName:
            (
                "an open file whose name was removed while it has other names",
                "restart could not connect it with those names again", "close it first"
            )
        case .thirtyTwoBit: ("a 32-bit program", "only x86-64 is supported", "rebuild it for x86-64")
        case .noInjection:
            ("a process without a vDSO", "Fermata's calls enter through it", "do not boot with vdso=0")
        case .urgentData:
            (
                "TCP urgent data not yet read",
                "what lies behind the mark cannot be read without taking it", "try again"
            )
        case .lease: ("a file lease", "breaking it cannot be repeated", "release it first")
        case .networkPrivilege:
            (
                "a TCP connection, by a user without CAP_NET_ADMIN over its network",
                "what is under way in it is read with TCP_REPAIR",
                "run job and Fermata as root, or in a network of their own: unshare -Urpfmn --mount-proc, then ip link set lo up"
            )
        case .socketFilter: ("a socket filter", "its program cannot be read back", "detach it first")
        }
    }
}

/// A named resource that cannot be checkpointed: which process, which resource, why, what to do.
public struct Refusal: Error, CustomStringConvertible, Sendable {
    public let limit: Limit
    /// As the job numbers it.
    public let pid: pid_t
    public let command: String
    /// Which descriptor, mapping or attribute.
    public let resource: String

    public init(_ limit: Limit, pid: pid_t, command: String = "", resource: String) {
        self.limit = limit
        self.pid = pid
        self.command = command
        self.resource = resource
    }

    public var description: String {
        """
        process \(pid)\(command.isEmpty ? "" : " (\(command))"), \(resource): \(limit.title) \
        cannot be checkpointed, because \(limit.reason). What to do: \(limit.remedy). [\(limit.rawValue)]
        """
    }
}
