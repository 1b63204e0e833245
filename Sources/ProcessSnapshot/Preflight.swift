// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
import LinuxSystem

/// The prepare phase: looks for everything that cannot be carried, without stopping or touching
/// anything. The same limits are met again during capture, for what appears in between.
public struct Preflight {
    let view: JobView

    public init(view: JobView) { self.view = view }

    /// All refusals, and the memory that may have to be written, in bytes.
    public func check() -> (refusals: [Refusal], residentBytes: UInt64) {
        var refusals: [Refusal] = []
        var resident: UInt64 = 0
        let processes = view.processes()
        let connections = Self.unreadableConnections()
        let home = Self.namespaces(view.isPod ? view.reaper : getpid())
        for pid in processes {
            guard let status = try? ProcessStatus("/proc/\(pid)"), status.state != UInt8(ascii: "Z")
            else { continue }
            resident += status.residentKiB * 1024
            refusals += attributes(pid, status, home)
            refusals += descriptors(pid, connections)
            refusals += mappings(pid)
        }
        return (refusals, resident)
    }

    private func refusal(_ limit: Limit, _ pid: pid_t, _ resource: String) -> Refusal {
        Refusal(limit, pid: JobView.inner(pid), command: JobView.command(pid), resource: resource)
    }

    private static func namespaces(_ pid: pid_t) -> [String: String] {
        var result: [String: String] = [:]
        for kind in ["pid", "mnt", "net", "ipc", "uts", "user"] {
            result[kind] = ProcFS.link("/proc/\(pid)/ns/\(kind)")
        }
        return result
    }

    private func attributes(
        _ pid: pid_t, _ status: ProcessStatus, _ home: [String: String]
    ) -> [Refusal] {
        var result: [Refusal] = []
        if status.tracer != 0 && status.tracer != getpid() {
            result.append(refusal(.traced, pid, "its tracer is process \(status.tracer)"))
        }
        if status.seccomp == 2 { result.append(refusal(.seccomp, pid, "seccomp mode 2")) }
        if status.shadowStack { result.append(refusal(.shadowStack, pid, "x86 feature shstk")) }
        for (kind, link) in Self.namespaces(pid) where home[kind] != link {
            result.append(
                refusal(kind == "pid" ? .nestedPidNamespace : .otherNamespace, pid, "namespace \(link)"))
        }
        if let root = ProcFS.link("/proc/\(pid)/root"), root != "/" {
            result.append(refusal(.changedRoot, pid, "root \(root)"))
        }
        var header = [UInt8](repeating: 0, count: 5)
        if let exe = try? Descriptor.open("/proc/\(pid)/exe", O_RDONLY) {
            let n = pread(exe.number, &header, 5, 0)
            if n == 5, header[0] == 0x7f, header[4] != 2 {
                result.append(refusal(.thirtyTwoBit, pid, "its program"))
            }
        }
        return result
    }

    /// Inodes of all TCP connections, if this user may not read them.
    private static func unreadableConnections() -> Set<UInt64> {
        guard !TCPRepair.isAllowed else { return [] }
        let states = SocketDiagnostics.connectedStates
        return Set(SocketDiagnostics.tcpConnections(states: states).map(\.inode))
    }

    private func descriptors(_ pid: pid_t, _ connections: Set<UInt64>) -> [Refusal] {
        var result: [Refusal] = []
        for number in (try? ProcFS.numbers(in: "/proc/\(pid)/fd")) ?? [] {
            guard let link = ProcFS.link("/proc/\(pid)/fd/\(number)") else { continue }
            let isConnection = ProcFS.inode(of: link).map(connections.contains) ?? false
            if let limit = isConnection ? .networkPrivilege : Limit(anonymousInode: link) {
                result.append(refusal(limit, pid, "descriptor \(number) (\(link))"))
            }
        }
        return result
    }

    private func mappings(_ pid: pid_t) -> [Refusal] {
        ((try? MappingEntry.list(pid)) ?? []).compactMap { entry in
            guard entry.path.hasPrefix("anon_inode:") else { return nil }
            let limit = Limit(anonymousInode: entry.path) ?? .deviceMapping
            return refusal(limit, pid, "mapping 0x\(String(entry.start, radix: 16)) (\(entry.path))")
        }
    }
}
