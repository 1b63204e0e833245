// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc

/// The CPUs that a thread may run on (sched_setaffinity(2)).
public struct Affinity: Sendable, Equatable {
    /// One bit for each CPU, as the kernel has it: a multiple of eight bytes.
    public let mask: [UInt8]

    public init(mask: [UInt8]) { self.mask = mask }

    /// Of the thread `tid`; 0 is the caller.
    public init(of tid: pid_t) throws(SystemError) {
        var buffer = [UInt8](repeating: 0, count: 1024)
        let n = buffer.withUnsafeMutableBytes {
            Kernel.raw(.schedGetaffinity, Int(tid), $0.count, Int(bitPattern: $0.baseAddress))
        }
        try Kernel.check(n, "sched_getaffinity of thread \(tid)")
        mask = Array(buffer[0..<n])
    }

    /// All of the machine, also CPUs that come later.
    public static let all = Affinity(mask: [UInt8](repeating: 0xff, count: 1024))

    /// The one CPU that the caller runs on now.
    public static var here: Affinity {
        var number: UInt32 = 0
        _ = withUnsafeMutablePointer(to: &number) { Kernel.raw(.getcpu, Int(bitPattern: $0)) }
        let cpu = Int(number)
        var mask = [UInt8](repeating: 0, count: cpu / 64 * 8 + 8)
        mask[cpu / 8] = 1 << UInt8(cpu % 8)
        return Affinity(mask: mask)
    }

    /// What to set to have this again. A thread that may use every CPU there is has most likely
    /// never been given a mask: it gets the full one, so that a cpuset that grows later
    /// (cpuset(7)) still reaches it.
    public var lasting: Affinity {
        let allowed = mask.reduce(0) { $0 + $1.nonzeroBitCount }
        return allowed >= sysconf(Int32(_SC_NPROCESSORS_ONLN)) ? .all : self
    }

    /// False when the kernel refuses: no CPU of the mask is there, or the thread is gone.
    @discardableResult
    public func apply(to tid: pid_t) -> Bool {
        mask.withUnsafeBytes {
            Kernel.raw(.schedSetaffinity, Int(tid), $0.count, Int(bitPattern: $0.baseAddress))
        } == 0
    }
}
