// SPDX-License-Identifier: Apache-2.0
import CVerbs

/// ibv_open_xrcd: what an XRC target queue pair and the shared receive queues that it serves have in
/// common, also in different processes, which name it by a file (IBTA annex A14). Under the engine
/// lock.
final class XRCDomain {
    let handle: UnsafeMutablePointer<fermata_xrcd>
    private let engine: Engine
    /// Unique in the job, from the numbers of protection domains.
    let number: UInt32
    private let isNamed: Bool
    /// Queue pairs and shared receive queues in it.
    var users = 0

    init(
        _ context: UnsafeMutablePointer<ibv_context>, _ engine: Engine, number: UInt32, isNamed: Bool
    ) {
        self.engine = engine
        self.number = number
        self.isNamed = isNamed
        handle = allocateHandle(fermata_xrcd.self)
        handle.pointee.xrcd.context = context
        handle.pointee.object = Unmanaged.passRetained(self).toOpaque()
    }

    static func of(_ xrcd: UnsafeMutablePointer<ibv_xrcd>) -> XRCDomain {
        xrcd.withMemoryRebound(to: fermata_xrcd.self, capacity: 1) {
            object($0.pointee.object, XRCDomain.self)
        }
    }

    /// errno: EBUSY while something is in it.
    func close() -> Int32 {
        guard users == 0 else { return EBUSY }
        if isNamed, engine.isCurrent { engine.segment.leaveNamedDomain(number) }
        free(handle)
        release(self)
        return 0
    }
}

extension Segment {
    enum NamedDomain {
        case found(UInt32)
        case failed(Int32)
    }

    /// The number of the domain that a file names. As ib_uverbs_open_xrcd in the kernel: EAGAIN when
    /// there is none and O_CREAT was not given, EINVAL when there is one and O_EXCL was.
    func joinNamedDomain(device: UInt64, inode: UInt64, flags: Int32) -> NamedDomain {
        lockNames()
        defer { unlockNames() }
        var free: UnsafeMutablePointer<fabric_named_domain>?
        for i in 0..<UInt32(FABRIC_NAMED_DOMAINS) {
            let entry = fabric_named_domain_at(header, i)!
            if entry.pointee.users == 0 {
                free = free ?? entry
            } else if entry.pointee.device == device, entry.pointee.inode == inode {
                guard flags & O_EXCL == 0 else { return .failed(EINVAL) }
                entry.pointee.users += 1
                return .found(entry.pointee.number)
            }
        }
        guard flags & O_CREAT != 0 else { return .failed(EAGAIN) }
        guard let free else { return .failed(ENOMEM) }
        free.pointee = fabric_named_domain(
            device: device, inode: inode, users: 1, number: newDomain())
        return .found(free.pointee.number)
    }

    func leaveNamedDomain(_ number: UInt32) {
        lockNames()
        for i in 0..<UInt32(FABRIC_NAMED_DOMAINS) {
            let entry = fabric_named_domain_at(header, i)!
            if entry.pointee.users > 0, entry.pointee.number == number { entry.pointee.users -= 1 }
        }
        unlockNames()
    }

    /// The lock is a thread's number, so that one killed inside takes nobody with it.
    func unlockNames() { fabric_store32(&header.pointee.names_lock, 0) }

    func lockNames() {
        let me = fabric_thread()
        while fabric_claim32(&header.pointee.names_lock, 0, me) == 0 {
            let owner = fabric_load32(&header.pointee.names_lock)
            if owner != 0, isGone(owner), fabric_claim32(&header.pointee.names_lock, owner, me) != 0 {
                return
            }
            sched_yield()
        }
    }
}
