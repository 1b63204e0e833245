import Glibc

/// Namespaces of the harness's own: what its jobs make is nobody else's, and goes with the last of
/// their processes.
package enum Namespaces {
    private typealias Unshare = @convention(c) (Int32) -> Int32

    private static let newIPC: Int32 = 0x0800_0000, newNetwork: Int32 = 0x4000_0000

    /// For the calling thread and all that it starts. The reason if it cannot be done.
    private static func enter(_ kind: Int32) -> String? {
        // unshare(2) is hidden behind _GNU_SOURCE, which Swift's importer does not define.
        guard let address = dlsym(nil, "unshare") else { return "no unshare in this C library" }
        guard unsafeBitCast(address, to: Unshare.self)(kind) == 0 else {
            return String(cString: strerror(errno))
        }
        return nil
    }

    /// System V objects outlive the processes that made them, and jobs that a test kills never remove
    /// theirs. Call before any thread exists. The coordinators that the harness starts are in the
    /// same one, as the tool demands of a job's processes.
    package static func enterIPC() -> String? { enter(newIPC) }

    /// Ports: a job that is killed and restarted wants its own again, and another test's job, or any
    /// program of this machine, may have got them meanwhile. Open MPI's TCP transport passes the
    /// loopback interface over, so there is a pair of others, connected with each other.
    package static func enterNetwork() -> String? {
        if let why = enter(newNetwork) { return why }
        let commands = """
            link set lo up
            link add fermata0 type veth peer name fermata1
            address add 10.255.0.1/24 dev fermata0
            link set fermata0 up
            link set fermata1 up

            """
        guard let pipe = popen("ip -batch -", "w") else { return "popen: errno \(errno)" }
        fputs(commands, pipe)
        return pclose(pipe) == 0 ? nil : "ip(8) cannot set up its interfaces"
    }
}
