// SPDX-License-Identifier: Apache-2.0
import CVerbs

/// ibv_alloc_parent_domain: another name for a protection domain. What is made in it is in the domain
/// below, as far as keys are concerned.
final class ParentDomain {
    let handle: UnsafeMutablePointer<fermata_pd>
    private let below: ProtectionDomain
    private let thread: ThreadDomain?

    /// Under the lock.
    init(_ below: ProtectionDomain, _ thread: ThreadDomain?) {
        self.below = below
        self.thread = thread
        below.users += 1
        thread?.users += 1
        handle = allocateHandle(fermata_pd.self)
        handle.pointee.pd = below.handle.pointee.pd
        handle.pointee.object = Unmanaged.passUnretained(below).toOpaque()
        handle.pointee.parent = Unmanaged.passRetained(self).toOpaque()
    }

    /// nil for a plain protection domain.
    static func of(_ pd: UnsafeMutablePointer<ibv_pd>) -> ParentDomain? {
        pd.withMemoryRebound(to: fermata_pd.self, capacity: 1) {
            guard let parent = $0.pointee.parent else { return nil }
            return object(parent, ParentDomain.self)
        }
    }

    /// 0. Objects made in it are in the domain below, and keep that one.
    func destroy() -> Int32 {
        Engine.locked {
            below.users -= 1
            thread?.users -= 1
        }
        free(handle)
        release(self)
        return 0
    }
}
