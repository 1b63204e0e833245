// SPDX-License-Identifier: Apache-2.0
import CVerbs

// fork() moves pages away from under a device that reads memory by physical address. Here the
// memory is read through the process's own page tables, or pinned by a kernel that copies pinned
// pages for the child (Linux 5.12), so nothing has to be prepared and no range be kept out of it.

@c(fermata_ibv_fork_init)
public func forkInit() -> Int32 { 0 }

@c(fermata_ibv_is_fork_initialized)
public func isForkInitialized() -> UInt32 { IBV_FORK_UNNEEDED.rawValue }

@c(fermata_ibv_dontfork_range)
public func keepRangeFromChildren(_ start: UnsafeMutableRawPointer?, _ length: Int) -> Int32 { 0 }

@c(fermata_ibv_dofork_range)
public func giveRangeToChildren(_ start: UnsafeMutableRawPointer?, _ length: Int) -> Int32 { 0 }
