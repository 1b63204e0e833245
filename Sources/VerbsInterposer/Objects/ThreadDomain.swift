// SPDX-License-Identifier: Apache-2.0
import CVerbs

/// ibv_alloc_td: a promise that one thread only uses what is made in it. Nothing here gets faster by
/// it, since all objects are under one lock.
final class ThreadDomain {
    let handle: UnsafeMutablePointer<fermata_td>
    /// Parent domains that name it. Under the lock.
    var users = 0

    init(_ context: UnsafeMutablePointer<ibv_context>) {
        handle = allocateHandle(fermata_td.self)
        handle.pointee.td.context = context
        handle.pointee.object = Unmanaged.passRetained(self).toOpaque()
    }

    static func of(_ td: UnsafeMutablePointer<ibv_td>) -> ThreadDomain {
        td.withMemoryRebound(to: fermata_td.self, capacity: 1) {
            object($0.pointee.object, ThreadDomain.self)
        }
    }

    /// errno: EBUSY while a parent domain names it.
    func destroy() -> Int32 {
        guard Engine.locked({ users == 0 }) else { return failure(EBUSY) }
        free(handle)
        release(self)
        return 0
    }
}
