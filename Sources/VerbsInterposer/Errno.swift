// SPDX-License-Identifier: Apache-2.0
import CVerbs

/// The calling thread's errno. The macro does not import; this is what it stands for.
var errorNumber: Int32 {
    get { __errno_location().pointee }
    set { __errno_location().pointee = newValue }
}

/// How most functions of the interface fail: the number is returned, and left in errno as well.
@inline(__always)
func failure(_ number: Int32) -> Int32 {
    errorNumber = number
    return number
}
