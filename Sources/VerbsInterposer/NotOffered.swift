// SPDX-License-Identifier: Apache-2.0
import CVerbs

// Parts of the interface that our devices do not have, and say so the way the manual pages
// provide for. Importing shares one process's objects with another through a descriptor of
// the kernel's driver; enhanced connection establishment negotiates features of one vendor.

private func notOffered() -> UnsafeMutableRawPointer? {
    errorNumber = EOPNOTSUPP
    return nil
}

@c(fermata_ibv_import_device)
public func importDevice(_ descriptor: Int32) -> UnsafeMutableRawPointer? { notOffered() }

@c(fermata_ibv_import_pd)
public func importProtectionDomain(
    _ context: UnsafeMutableRawPointer?, _ handle: UInt32
) -> UnsafeMutableRawPointer? { notOffered() }

@c(fermata_ibv_import_mr)
public func importMemoryRegion(
    _ domain: UnsafeMutableRawPointer?, _ handle: UInt32
) -> UnsafeMutableRawPointer? { notOffered() }

@c(fermata_ibv_import_dm)
public func importDeviceMemory(
    _ context: UnsafeMutableRawPointer?, _ handle: UInt32
) -> UnsafeMutableRawPointer? { notOffered() }

// There is never an imported object to give back.

@c(fermata_ibv_unimport_pd)
public func unimportProtectionDomain(_ domain: UnsafeMutableRawPointer?) {}

@c(fermata_ibv_unimport_mr)
public func unimportMemoryRegion(_ region: UnsafeMutableRawPointer?) {}

@c(fermata_ibv_unimport_dm)
public func unimportDeviceMemory(_ memory: UnsafeMutableRawPointer?) {}

@c(fermata_ibv_query_ece)
public func queryEnhancedConnection(
    _ pair: UnsafeMutableRawPointer?, _ options: UnsafeMutableRawPointer?
) -> Int32 { failure(EOPNOTSUPP) }

@c(fermata_ibv_set_ece)
public func setEnhancedConnection(
    _ pair: UnsafeMutableRawPointer?, _ options: UnsafeMutableRawPointer?
) -> Int32 { failure(EOPNOTSUPP) }
