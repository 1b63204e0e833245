import Glibc

/// System V objects outlive the processes that made them, and jobs that a test kills never remove
/// theirs. In an IPC namespace of the harness's own they go with its last process.
///
/// The coordinators that it starts are in the same one, as the tool demands of a job's processes.
package enum IPCNamespace {
    private typealias Unshare = @convention(c) (Int32) -> Int32

    /// Call before any thread exists: a namespace is entered by one thread only. The reason if it
    /// cannot be done.
    package static func enterNew() -> String? {
        // unshare(2) is hidden behind _GNU_SOURCE, which Swift's importer does not define.
        guard let address = dlsym(nil, "unshare") else { return "no unshare in this C library" }
        let newIPC: Int32 = 0x0800_0000
        guard unsafeBitCast(address, to: Unshare.self)(newIPC) == 0 else {
            return String(cString: strerror(errno))
        }
        return nil
    }
}
