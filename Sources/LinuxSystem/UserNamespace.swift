// SPDX-License-Identifier: Apache-2.0
import Glibc

/// user_namespaces(7): what lets an ordinary user make the namespaces that a restart needs.
public enum UserNamespace {
    /// Whether this kernel lets a user without capabilities make one.
    public static var isAllowed: Bool {
        func number(_ path: String) -> Int? {
            (try? ProcFS.text(path)).flatMap { Int($0.filter(\.isNumber)) }
        }
        return (number("/proc/sys/user/max_user_namespaces") ?? 0) > 0
            && number("/proc/sys/kernel/unprivileged_userns_clone") != 0  // Debian's kernels
            && number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") != 1
    }

    /// False where an ordinary user's processes keep the groups they have: setgroups(2) is denied.
    public static var maySetGroups: Bool {
        (try? ProcFS.text("/proc/self/setgroups"))?.hasPrefix("deny") != true
    }

    /// Moves this process into a new one, in which its ids stay what they are and it has every
    /// capability. Only while it has one thread.
    public static func enter() throws(SystemError) {
        let (uid, gid) = (geteuid(), getegid())
        try Kernel.check(Kernel.raw(.unshare, 0x1000_0000), "create a user namespace")  // CLONE_NEWUSER
        try write("deny", "/proc/self/setgroups")
        try write("\(uid) \(uid) 1", "/proc/self/uid_map")
        try write("\(gid) \(gid) 1", "/proc/self/gid_map")
    }

    private static func write(_ text: String, _ path: String) throws(SystemError) {
        let file = try Descriptor.open(path, O_WRONLY)
        let bytes = Array(text.utf8)
        try Kernel.libc(Glibc.write(file.number, bytes, bytes.count), "write \(path)")
    }
}
