// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
import LinuxSystem

/// TCP_REPAIR (tcp(7)) needs CAP_NET_ADMIN in the user namespace that the network belongs to.
public enum TCPRepair {
    public static var isAllowed: Bool {
        let socket = Descriptor(owning: socket(AF_INET, 1 | 0o2000000, 0))
        return (try? socket.setOption(TCPCapture.Option.level, TCPCapture.Option.repair, 1)) != nil
    }
}

/// Holds all TCP connections of the frozen job still: a filter on each socket drops what
/// arrives, and repair mode keeps the socket from sending. Whatever is dropped is still in its
/// sender's queue.
///
/// A socket left like that would hang the job, so a guard process keeps copies of the
/// descriptors and unlocks them if this process dies. It is told before the first lock.
final class NetworkLock {
    private var sockets: [Descriptor] = []
    /// SO_REUSEADDR of the locked sockets by inode: repair mode changes it.
    private(set) var reuseAddress: [UInt64: Int32] = [:]
    private var inodes: [UInt64] = []
    private var guardChannel: Descriptor?
    private(set) var guardPid: pid_t = 0

    /// Locks every connected TCP socket of `processes`.
    init(_ processes: [pid_t]) throws {
        var seen: Set<UInt64> = []
        for pid in processes {
            for number in (try? ProcFS.numbers(in: "/proc/\(pid)/fd")) ?? [] {
                guard let link = ProcFS.link("/proc/\(pid)/fd/\(number)"), link.hasPrefix("socket:"),
                    let inode = ProcFS.inode(of: link)
                else { continue }
                guard seen.insert(inode).inserted else { continue }
                guard let handle = try Self.connectedTCP(pid, number) else { continue }
                sockets.append(handle)
                inodes.append(inode)
                reuseAddress[inode] = try handle.option(SOL_SOCKET, SocketOptions.reuseAddress)
            }
        }
        guard !sockets.isEmpty else { return }
        try startGuard()
        do {
            for handle in sockets {
                try Kernel.check(fermata_lock_socket(handle.number), "lock a TCP socket")
            }
            for handle in sockets {
                try handle.setOption(TCPCapture.Option.level, TCPCapture.Option.repair, 1)
            }
        } catch {
            unlock()
            throw error
        }
    }

    private static func connectedTCP(_ pid: pid_t, _ number: Int32) throws -> Descriptor? {
        let pidfd = try Descriptor.ofThread(pid)
        let fd = Kernel.raw(.pidfdGetfd, Int(pidfd.number), Int(number))
        guard fd >= 0 else { return nil }
        let handle = Descriptor(owning: Int32(fd))
        guard (try? handle.option(SOL_SOCKET, 38)) == 6,
            let info = handle.optionBytes(6, TCPCapture.Option.info, capacity: 104), !info.isEmpty
        else { return nil }
        let state = UInt32(info[0])
        var filter = socklen_t(0)
        if getsockopt(handle.number, SOL_SOCKET, 26, nil, &filter) == 0, filter > 0 {  // SO_GET_FILTER
            throw Refusal(
                .socketFilter, pid: JobView.inner(pid), command: JobView.command(pid),
                resource: "descriptor \(number)")
        }
        return state == TCPState.listen || state == TCPState.close ? nil : handle
    }

    private func startGuard() throws {
        let (mine, theirs) = try Descriptor.socketPair(Int32(SOCK_SEQPACKET.rawValue))
        guardPid = fermata_spawn_unlock_guard(theirs.number)
        try Kernel.check(Int(guardPid), "start the guard of the network lock")
        guardChannel = mine
        var numbers = sockets.map(\.number)
        while !numbers.isEmpty {
            let part = Array(numbers.prefix(60))
            numbers.removeFirst(part.count)
            try Kernel.check(
                fermata_send_descriptors(mine.number, 104, part, Int32(part.count)), "arm the guard")
            var reply: UInt8 = 0
            try Kernel.libc(recv(mine.number, &reply, 1, 0), "arm the guard")
        }
    }

    /// Lets traffic flow again. Idempotent; what was dropped is retransmitted.
    func unlock() {
        for (handle, inode) in zip(sockets, inodes) {
            _ = fermata_unlock_socket(handle.number, reuseAddress[inode] ?? 0)
        }
        release()
    }

    /// The job is about to be killed: sockets stay in repair mode, so that closing them sends
    /// nothing and leaves no TIME_WAIT behind.
    func release() {
        sockets = []
        guard let channel = guardChannel else { return }
        _ = fermata_send_descriptors(channel.number, 100, nil, 0)
        guardChannel = nil
        var status: Int32 = 0
        waitpid(guardPid, &status, Int32(bitPattern: 0x4000_0000))  // __WALL: no exit signal
        guardPid = 0
    }

    deinit { unlock() }
}
