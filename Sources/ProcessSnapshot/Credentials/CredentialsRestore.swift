// SPDX-License-Identifier: Apache-2.0
import CLinux
import CheckpointImage
import Glibc
import LinuxSystem
import Tracing

/// Credentials of one thread. Order (credentials(7), capabilities(7)): bounding set while the
/// right to shrink it is there, groups, ids with capabilities kept, capability sets, ambient set.
struct CredentialsRestore {
    let credentials: ImageCredentials

    func apply(_ stub: Stub) throws {
        let now = try ProcessStatus("/proc/\(stub.tracee.tid)")
        let c = credentials
        if now.uids != c.uids || now.gids != c.gids || now.groups != c.groups
            || now.capabilities != c.capabilities
        {
            try dropBounding(stub, now)
            if now.groups != c.groups && UserNamespace.maySetGroups { try groups(stub) }
            try ids(stub)
            try capabilities(stub)
        }
        if c.secureBits != 0 { try stub.call(.prctl, 28, UInt64(c.secureBits), what: "securebits") }
        if c.noNewPrivileges { try stub.call(.prctl, 38, 1, 0, 0, 0) }
    }

    private func dropBounding(_ stub: Stub, _ now: ProcessStatus) throws {
        for bit: UInt64 in 0..<64
        where now.capabilities[3] >> bit & 1 == 1 && credentials.capabilities[3] >> bit & 1 == 0 {
            try stub.call(.prctl, 24, bit)  // PR_CAPBSET_DROP
        }
    }

    private func groups(_ stub: Stub) throws {
        let groups = credentials.groups
        try stub.call(
            .setgroups, UInt64(groups.count), try stub.place(groups.flatMap { bytes(of: $0) }))
    }

    private func ids(_ stub: Stub) throws {
        let c = credentials
        try stub.call(.prctl, 8, 1)  // PR_SET_KEEPCAPS
        try stub.call(.setresgid, UInt64(c.gids[0]), UInt64(c.gids[1]), UInt64(c.gids[2]))
        try stub.call(.setfsgid, UInt64(c.gids[3]))
        try stub.call(.setresuid, UInt64(c.uids[0]), UInt64(c.uids[1]), UInt64(c.uids[2]))
        try stub.call(.setfsuid, UInt64(c.uids[3]))
        try stub.call(.prctl, 8, 0)
    }

    private func capabilities(_ stub: Stub) throws {
        let (inheritable, permitted, effective) = (
            credentials.capabilities[0], credentials.capabilities[1], credentials.capabilities[2]
        )
        let header = bytes(of: UInt32(0x2008_0522)) + bytes(of: UInt32(0))  // version 3, this thread
        var data: [UInt8] = []
        for shift: UInt64 in [0, 32] {
            for set in [effective, permitted, inheritable] {
                data += bytes(of: UInt32(truncatingIfNeeded: set >> shift))
            }
        }
        let at = try stub.place(header)
        try stub.place(data, at: 64)
        try stub.call(.capset, at, stub.scratch + 64, what: "capset")
        for bit: UInt64 in 0..<64 where credentials.capabilities[4] >> bit & 1 == 1 {
            try stub.call(.prctl, 47, 2, bit, 0, 0)  // PR_CAP_AMBIENT_RAISE
        }
    }
}
