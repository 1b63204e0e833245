// SPDX-License-Identifier: Apache-2.0
import CVerbs
import Synchronization

/// A path as C passes it.
public typealias CPath = UnsafePointer<CChar>

/// Room for a text that C asks for.
public typealias CBuffer = UnsafeMutablePointer<CChar>

/// The function of the same name that the application would have called without this library:
/// libc's, or that of another library preloaded after this one.
struct NextFunction: ~Copyable {
    private let name: StaticString
    private let address = Atomic<UInt>(0)

    init(_ name: StaticString) { self.name = name }

    /// Nil where libc lacks it: stat before glibc 2.33, say.
    @inline(__always)
    var pointer: UnsafeMutableRawPointer? {
        let known = address.load(ordering: .relaxed)
        return known == 0 ? find() : UnsafeMutableRawPointer(bitPattern: known)
    }

    /// Two threads may both search; they find the same.
    @inline(never)
    private func find() -> UnsafeMutableRawPointer? {
        let next = UnsafeMutableRawPointer(bitPattern: -1) // RTLD_NEXT
        let found = dlsym(next, UnsafeRawPointer(name.utf8Start).assumingMemoryBound(to: CChar.self))
        address.store(UInt(bitPattern: found), ordering: .relaxed)
        return found
    }
}
