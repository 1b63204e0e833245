// SPDX-License-Identifier: Apache-2.0
import CVerbs

/// ibv_reg_mr and its variants. Local and remote key are one number: index and a byte that changes
/// with each registration, so that a stale key opens nothing (IBTA 10.6.3).
final class MemoryRegion {
    let handle: UnsafeMutablePointer<fermata_mr>
    private let engine: Engine
    private(set) var domain: ProtectionDomain
    private var index: UInt32 = 0
    private(set) var key: UInt32 = 0
    /// Where it lies, and what addresses in work requests are relative to.
    private(set) var start: UInt64
    private(set) var length: UInt64
    private(set) var base: UInt64
    private(set) var access: UInt32
    /// ibv_alloc_null_mr: reads as zeros, and what is written is lost.
    let isNull: Bool
    /// Memory windows bound to it.
    var windows = 0

    /// Beyond it no process has memory (x86-64 without five levels of page tables has less).
    private static let highest: UInt64 = 1 << 57
    nonisolated(unsafe) private static var generation: UInt32 = 0
    private static let remoteWrite =
        IBV_ACCESS_REMOTE_WRITE.rawValue | IBV_ACCESS_REMOTE_ATOMIC.rawValue
    /// Optional flags (bit 20 and up) may be ignored by a device (ibv_reg_mr(3)).
    private static let known: UInt32 =
        IBV_ACCESS_LOCAL_WRITE.rawValue | IBV_ACCESS_REMOTE_WRITE.rawValue
        | IBV_ACCESS_REMOTE_READ.rawValue | IBV_ACCESS_REMOTE_ATOMIC.rawValue
        | IBV_ACCESS_MW_BIND.rawValue | IBV_ACCESS_ZERO_BASED.rawValue

    /// What registering would fail with; 0: nothing. Not under the lock.
    static func check(_ start: UInt64, _ length: UInt64, _ access: UInt32) -> Int32 {
        let required = access & 0xfffff
        if required & ~known != 0 { return EOPNOTSUPP }
        if access & remoteWrite != 0 && access & IBV_ACCESS_LOCAL_WRITE.rawValue == 0 { return EINVAL }
        if start > highest || length > highest - start { return EINVAL }
        return isMapped(start, length) ? 0 : EFAULT
    }

    /// msync(2) says ENOMEM for a range with holes, and does nothing else with MS_ASYNC.
    private static func isMapped(_ start: UInt64, _ length: UInt64) -> Bool {
        guard length > 0 else { return true }
        let first = start & ~4095
        let pages = (start + length - first + 4095) & ~4095
        return msync(UnsafeMutableRawPointer(bitPattern: UInt(first)), Int(pages), Int32(MS_ASYNC)) == 0
    }

    /// Under the lock. nil: too many regions.
    init?(
        _ engine: Engine, _ domain: ProtectionDomain, start: UInt64, length: UInt64, base: UInt64,
        access: UInt32, isNull: Bool = false
    ) {
        self.isNull = isNull
        self.engine = engine
        self.domain = domain
        (self.start, self.length, self.base, self.access) = (start, length, base, access)
        handle = allocateHandle(fermata_mr.self)
        guard let index = engine.add(.region(self)) else {
            free(handle)
            return nil
        }
        self.index = index
        Self.generation = (Self.generation + 1) & 0xff
        key = index << 8 | Self.generation
        domain.users += 1
        describe()
        handle.pointee.object = Unmanaged.passRetained(self).toOpaque()
        export()
    }

    static func of(_ mr: UnsafeMutablePointer<ibv_mr>) -> MemoryRegion {
        mr.withMemoryRebound(to: fermata_mr.self, capacity: 1) {
            object($0.pointee.object, MemoryRegion.self)
        }
    }

    private func describe() {
        let mr = handle
        mr.pointee.mr.context = domain.handle.pointee.pd.context
        mr.pointee.mr.pd = UnsafeMutableRawPointer(domain.handle).assumingMemoryBound(to: ibv_pd.self)
        mr.pointee.mr.addr = UnsafeMutableRawPointer(bitPattern: UInt(start))
        mr.pointee.mr.length = Int(length)
        mr.pointee.mr.handle = index
        mr.pointee.mr.lkey = key
        mr.pointee.mr.rkey = key
    }

    private func export() {
        engine.export(
            index, key: key, start: start, length: length, base: base, access: access, domain: domain)
    }

    /// Under the lock. No window is bound to it.
    func destroy() {
        engine.withdraw(index)
        engine.removeKeyed(index)
        domain.users -= 1
        free(handle)
        release(self)
    }

    /// Keys stay (ibv_rereg_mr(3)). Under the lock.
    func change(
        domain: ProtectionDomain?, place: (start: UInt64, length: UInt64)?, access: UInt32?
    ) {
        engine.withdraw(index)
        if let domain {
            self.domain.users -= 1
            self.domain = domain
            domain.users += 1
        }
        if let place { (start, length, base) = (place.start, place.length, place.start) }
        if let access { self.access = access }
        describe()
        export()
    }

    /// Where `count` bytes at `address` of a work request lie; nil when they are not all inside.
    func locate(_ address: UInt64, _ count: UInt64) -> UInt64? {
        let offset = address &- base
        guard offset <= length, count <= length - offset else { return nil }
        return start + offset
    }
}
