// SPDX-License-Identifier: Apache-2.0
import CVerbs

/// ibv_alloc_mw: a remote key for a part of a memory region, given and taken back by work requests
/// (IBTA 10.6.7). Type 2 is type 2B: it opens for the queue pair it was bound on. Under the engine
/// lock.
final class MemoryWindow {
    let handle: UnsafeMutablePointer<fermata_mw>
    let domain: ProtectionDomain
    private let engine: Engine
    private var index: UInt32 = 0
    private(set) var key: UInt32 = 0
    /// The region it lies in; nil: it opens nothing.
    private var region: MemoryRegion?
    /// Type 2: the queue pair it is bound on.
    private var queuePair: UInt32 = 0

    var type: ibv_mw_type { handle.pointee.mw.type }

    /// nil: too many regions and windows.
    init?(_ engine: Engine, _ domain: ProtectionDomain, _ type: ibv_mw_type) {
        self.engine = engine
        self.domain = domain
        handle = allocateHandle(fermata_mw.self)
        guard let index = engine.add(.window(self)) else {
            free(handle)
            return nil
        }
        self.index = index
        key = index << 8 | 1
        domain.users += 1
        handle.pointee.mw.context = domain.handle.pointee.pd.context
        handle.pointee.mw.pd = UnsafeMutableRawPointer(domain.handle).assumingMemoryBound(
            to: ibv_pd.self)
        handle.pointee.mw.type = type
        handle.pointee.mw.handle = index
        handle.pointee.mw.rkey = key
        handle.pointee.object = Unmanaged.passRetained(self).toOpaque()
    }

    static func of(_ mw: UnsafeMutablePointer<ibv_mw>) -> MemoryWindow {
        mw.withMemoryRebound(to: fermata_mw.self, capacity: 1) {
            object($0.pointee.object, MemoryWindow.self)
        }
    }

    /// The key that the next bind of a type 1 window gives, known to the application at once.
    func nextKey() -> UInt32 {
        let next = handle.pointee.mw.rkey & ~0xff | (handle.pointee.mw.rkey &+ 1) & 0xff
        handle.pointee.mw.rkey = next
        return next
    }

    /// False when the binding is not allowed (IBTA 10.6.7.2.1 ff.).
    func bind(_ binding: WindowBinding, on queuePair: QueuePair) -> Bool {
        guard domain === queuePair.domain, type == IBV_MW_TYPE_1 || region == nil else { return false }
        guard let wanted = binding.region, binding.length > 0 else {
            guard type == IBV_MW_TYPE_1 else { return false }  // type 2 is invalidated
            unbind()
            key = binding.key
            return true
        }
        let writes = IBV_ACCESS_REMOTE_WRITE.rawValue | IBV_ACCESS_REMOTE_ATOMIC.rawValue
        guard wanted.domain === domain, wanted.access & IBV_ACCESS_MW_BIND.rawValue != 0,
            binding.access & writes == 0 || wanted.access & IBV_ACCESS_LOCAL_WRITE.rawValue != 0,
            let start = wanted.locate(binding.address, binding.length)
        else { return false }
        unbind()
        region = wanted
        wanted.windows += 1
        key = index << 8 | binding.key & 0xff
        self.queuePair = type == IBV_MW_TYPE_1 ? 0 : queuePair.number
        let zeroBased = binding.access & IBV_ACCESS_ZERO_BASED.rawValue != 0
        engine.export(
            index, key: key, start: start, length: binding.length,
            base: zeroBased ? 0 : binding.address, access: binding.access, domain: domain,
            queuePair: self.queuePair)
        return true
    }

    /// Whether `queuePair`, or its peer, may invalidate it: type 2, bound, on that queue pair.
    func isInvalidatable(on queuePair: QueuePair) -> Bool {
        type == IBV_MW_TYPE_2 && region != nil && self.queuePair == queuePair.number
    }

    func unbind() {
        guard let region else { return }
        engine.withdraw(index)
        region.windows -= 1
        self.region = nil
    }

    func destroy() {
        unbind()
        engine.removeKeyed(index)
        domain.users -= 1
        free(handle)
        release(self)
    }
}

/// What a bind request says. An object, so that the many requests without one stay small.
final class WindowBinding {
    let window: MemoryWindow
    let region: MemoryRegion?
    let address: UInt64
    let length: UInt64
    let access: UInt32
    let key: UInt32

    init(_ window: MemoryWindow, _ info: ibv_mw_bind_info, key: UInt32) {
        self.window = window
        region = info.mr.map { MemoryRegion.of($0) }
        (address, length, access) = (info.addr, info.length, info.mw_access_flags)
        self.key = key
    }
}
