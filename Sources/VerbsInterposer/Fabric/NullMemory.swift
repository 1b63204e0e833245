// SPDX-License-Identifier: Apache-2.0
import CVerbs

/// The memory behind regions of ibv_alloc_null_mr. Under the engine lock.
enum NullMemory {
    /// Large, so that the longest message is a list that fits in a record; its pages are the
    /// kernel's zero page until something is lost in them.
    static let bytes = 16 << 20
    nonisolated(unsafe) private(set) static var zeros: UnsafeMutableRawPointer?
    nonisolated(unsafe) private(set) static var sink: UnsafeMutableRawPointer?

    /// Makes it at the first call; false when there is no memory.
    static var isReady: Bool {
        if zeros == nil { zeros = fabric_blank(bytes, PROT_READ) }
        if sink == nil { sink = fabric_blank(bytes, PROT_READ | PROT_WRITE) }
        return zeros != nil && sink != nil
    }
}
