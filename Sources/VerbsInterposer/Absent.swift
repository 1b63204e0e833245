// SPDX-License-Identifier: Apache-2.0
import CVerbs

// Symbols that must exist for the loader but that nobody can usefully call; the table in
// Sources/CVerbs/ABI says which symbol leads to which of these. They take whatever arguments
// come: a caller's registers and stack are its own business in both supported calling conventions.
//
// IBVERBS_PRIVATE_nn is what a driver library (libmlx5, libefa, libmlx4) and libibverbs agree on
// for one release. Programs link to those libraries, so the loader wants all their symbols at once.
// Their constructors register a driver with verbs_register_driver_nn, which we take no notice
// of: our devices have no driver. Everything else they call only with a device of their own,
// and registration is the only way to one. verbs_allow_disassociate_destroy is a variable
// they read when they destroy such an object.
//
// The IBVERBS_1.0 versions of names that also have a 1.1 version use the structures of libibverbs
// 1.0 (2006), where each object is a wrapper round a new one. All of them start from a device, and
// ibv_get_device_list@IBVERBS_1.0 says ENOSYS, so that a program that old finds no device; the
// others agree. ibv_register_driver@IBVERBS_1.1 is the driver interface of that time.

@c(fermata_absent_errno)
public func absentErrno() -> Int32 { failure(ENOSYS) }

@c(fermata_absent_minus)
public func absentMinus() -> Int32 {
    errorNumber = ENOSYS
    return -1
}

/// For results of any width: a null pointer is also a zero number.
@c(fermata_absent_null)
public func absentNull() -> UnsafeMutableRawPointer? {
    errorNumber = ENOSYS
    return nil
}

@c(fermata_absent_void)
public func absentVoid() {}
