// SPDX-License-Identifier: Apache-2.0
import CVerbs

/// ibv_alloc_pd. Its number is unique in the job: peers that place data compare it.
final class ProtectionDomain {
    let handle: UnsafeMutablePointer<fermata_pd>
    let number: UInt32
    /// Regions, queue pairs, shared receive queues and address handles in it. Under the lock.
    var users = 0

    init(_ context: UnsafeMutablePointer<ibv_context>, _ engine: Engine) {
        number = engine.segment.newDomain()
        handle = allocateHandle(fermata_pd.self)
        handle.pointee.pd.context = context
        handle.pointee.pd.handle = number
        handle.pointee.object = Unmanaged.passRetained(self).toOpaque()
    }

    static func of(_ pd: UnsafeMutablePointer<ibv_pd>) -> ProtectionDomain {
        pd.withMemoryRebound(to: fermata_pd.self, capacity: 1) {
            object($0.pointee.object, ProtectionDomain.self)
        }
    }

    /// errno: EBUSY while something is in it.
    func destroy() -> Int32 {
        guard Engine.locked({ users == 0 }) else { return failure(EBUSY) }
        free(handle)
        release(self)
        return 0
    }
}
