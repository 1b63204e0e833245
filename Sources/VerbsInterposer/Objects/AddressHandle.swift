// SPDX-License-Identifier: Apache-2.0
import CVerbs

/// ibv_create_ah: where a datagram goes.
final class AddressHandle {
    let handle: UnsafeMutablePointer<fermata_ah>
    let domain: ProtectionDomain
    let lid: UInt16
    let serviceLevel: UInt8
    /// The destination's GID, if the address has a global route.
    let group: ibv_gid?

    init(_ domain: ProtectionDomain, _ attributes: ibv_ah_attr) {
        self.domain = domain
        lid = attributes.dlid
        serviceLevel = attributes.sl
        group = attributes.is_global != 0 ? attributes.grh.dgid : nil
        domain.users += 1
        handle = allocateHandle(fermata_ah.self)
        handle.pointee.ah.context = domain.handle.pointee.pd.context
        handle.pointee.ah.pd = UnsafeMutableRawPointer(domain.handle).assumingMemoryBound(
            to: ibv_pd.self)
        handle.pointee.object = Unmanaged.passRetained(self).toOpaque()
    }

    static func of(_ ah: UnsafeMutablePointer<ibv_ah>) -> AddressHandle {
        ah.withMemoryRebound(to: fermata_ah.self, capacity: 1) {
            object($0.pointee.object, AddressHandle.self)
        }
    }

    /// Under the lock.
    func destroy() {
        domain.users -= 1
        free(handle)
        release(self)
    }
}
