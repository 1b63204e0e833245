// SPDX-License-Identifier: Apache-2.0
import CVerbs
import Synchronization

// opendir and what takes its result. A DIR is opaque, so one of ours is told by its address: they
// all lie in one block, and while none was ever opened the test is against an address of 0.

private typealias OpenDirectory = @convention(c) (CPath?) -> OpaquePointer?
private typealias ReadDirectory = @convention(c) (OpaquePointer?) -> UnsafeMutableRawPointer?
private typealias OnDirectory = @convention(c) (OpaquePointer?) -> Int32
private typealias Rewind = @convention(c) (OpaquePointer?) -> Void
private typealias Tell = @convention(c) (OpaquePointer?) -> Int
private typealias Seek = @convention(c) (OpaquePointer?, Int) -> Void

private let nextOpendir = NextFunction("opendir")
private let nextReaddir = NextFunction("readdir")
private let nextReaddir64 = NextFunction("readdir64")
private let nextClosedir = NextFunction("closedir")
private let nextDirfd = NextFunction("dirfd")
private let nextRewinddir = NextFunction("rewinddir")
private let nextTelldir = NextFunction("telldir")
private let nextSeekdir = NextFunction("seekdir")

/// An open directory. Its names are those it had when it was opened: `tree` does not change.
private final class OpenVirtualDirectory {
    let tree: FileTree
    let names: [Int]
    let parent: Int
    var position = 0
    /// What readdir returned last; on 64-bit machines struct dirent64 is struct dirent.
    let entry = UnsafeMutablePointer<dirent>.allocate(capacity: 1)

    init(_ tree: FileTree, _ index: Int) {
        self.tree = tree
        parent = index
        names = tree.children(of: tree.entries[index].path)
        entry.initialize(to: dirent())
    }

    deinit { entry.deallocate() }

    func next() -> UnsafeMutablePointer<dirent>? {
        if position >= names.count + 2 { return nil }
        let index = position < 2 ? parent : names[position - 2]
        let path = tree.entries[index].path
        var name = path[((path.lastIndex(of: UInt8(ascii: "/")) ?? -1) + 1)...]
        if position < 2 { name = [UInt8](repeating: UInt8(ascii: "."), count: position + 1)[...] }
        position += 1
        entry.pointee = dirent()
        entry.pointee.d_ino = .init(index + 1)
        entry.pointee.d_off = .init(position)
        entry.pointee.d_reclen = UInt16(MemoryLayout<dirent>.size)
        // The type is the file type's bits of a mode, moved down.
        entry.pointee.d_type = UInt8(truncatingIfNeeded: Status(tree, index).mode >> 12)
        withUnsafeMutableBytes(of: &entry.pointee.d_name) { field in
            for (i, byte) in name.prefix(field.count - 1).enumerated() { field[i] = byte }
        }
        return entry
    }
}

private typealias Slot = UnsafeMutablePointer<Atomic<UInt>>

/// The open directories: a block of slots, each 0 or the address of an `OpenVirtualDirectory`.
private enum Slots {
    static var max: Int { 256 }
    static let block = Atomic<UInt>(0)

    /// The block, made at the first call. A thread that loses the race gives its own back.
    static func made() -> Slot? {
        let known = Slot(bitPattern: block.load(ordering: .acquiring))
        if known != nil { return known }
        guard let fresh = calloc(max, MemoryLayout<UInt>.stride) else { return nil }
        let (won, winner) = block.compareExchange(
            expected: 0, desired: UInt(bitPattern: fresh), ordering: .acquiringAndReleasing)
        if !won { free(fresh) }
        return UnsafeMutablePointer(bitPattern: won ? UInt(bitPattern: fresh) : winner)
    }

    @inline(__always)
    static func find(_ stream: OpaquePointer?) -> Slot? {
        let base = block.load(ordering: .acquiring)
        let address = UInt(bitPattern: stream)
        let end = base + UInt(max * MemoryLayout<UInt>.stride)
        guard base != 0, address >= base, address < end else { return nil }
        return UnsafeMutablePointer(bitPattern: address)
    }

    /// A DIR for the application, or nil with errno.
    static func add(_ directory: OpenVirtualDirectory) -> OpaquePointer? {
        guard let slots = made() else { return nil }
        let address = UInt(bitPattern: Unmanaged.passRetained(directory).toOpaque())
        for i in 0..<max {
            let (won, _) = slots[i].compareExchange(
                expected: 0, desired: address, ordering: .acquiringAndReleasing)
            if won { return OpaquePointer(slots + i) }
        }
        Unmanaged.passUnretained(directory).release()
        errorNumber = EMFILE
        return nil
    }

    static func directory(_ slot: Slot) -> OpenVirtualDirectory? {
        let address = slot.pointee.load(ordering: .acquiring)
        guard let object = UnsafeRawPointer(bitPattern: address) else { return nil }
        return Unmanaged<OpenVirtualDirectory>.fromOpaque(object).takeUnretainedValue()
    }

    static func remove(_ slot: Slot) -> Bool {
        let address = slot.pointee.exchange(0, ordering: .acquiringAndReleasing)
        guard let object = UnsafeRawPointer(bitPattern: address) else { return false }
        Unmanaged<OpenVirtualDirectory>.fromOpaque(object).release()
        return true
    }
}

@c(opendir) public func opendirShim(_ path: CPath?) -> OpaquePointer? {
    guard let pointer = nextOpendir.pointer else {
        errorNumber = ENOSYS
        return nil
    }
    let call = unsafeBitCast(pointer, to: OpenDirectory.self)
    guard let path, VirtualPath.isVirtual(path) else { return call(path) }
    let (tree, resolution) = VirtualFiles.lookUp(path)
    switch resolution {
    case .elsewhere(let other): return other.withUnsafeBufferPointer { call($0.baseAddress) }
    case .missing(let number): errorNumber = number
    case .entry(let index):
        if case .directory = tree.entries[index].node {
            return Slots.add(OpenVirtualDirectory(tree, index))
        }
        errorNumber = ENOTDIR
    }
    return nil
}

@inline(__always)
private func read(_ next: borrowing NextFunction, _ stream: OpaquePointer?) -> UnsafeMutableRawPointer? {
    guard let slot = Slots.find(stream) else {
        guard let pointer = next.pointer else { return nil }
        return unsafeBitCast(pointer, to: ReadDirectory.self)(stream)
    }
    return UnsafeMutableRawPointer(Slots.directory(slot)?.next())
}

@c(readdir) public func readdirShim(_ stream: OpaquePointer?) -> UnsafeMutableRawPointer? {
    read(nextReaddir, stream)
}

@c(readdir64) public func readdir64Shim(_ stream: OpaquePointer?) -> UnsafeMutableRawPointer? {
    read(nextReaddir64, stream)
}

@c(closedir) public func closedirShim(_ stream: OpaquePointer?) -> Int32 {
    guard let slot = Slots.find(stream) else {
        guard let pointer = nextClosedir.pointer else { return minus(ENOSYS) }
        return unsafeBitCast(pointer, to: OnDirectory.self)(stream)
    }
    return Slots.remove(slot) ? 0 : minus(EBADF)
}

/// POSIX allows ENOTSUP for a directory stream that has no descriptor.
@c(dirfd) public func dirfdShim(_ stream: OpaquePointer?) -> Int32 {
    guard Slots.find(stream) == nil else { return minus(ENOTSUP) }
    guard let pointer = nextDirfd.pointer else { return minus(ENOSYS) }
    return unsafeBitCast(pointer, to: OnDirectory.self)(stream)
}

@c(rewinddir) public func rewinddirShim(_ stream: OpaquePointer?) {
    guard let slot = Slots.find(stream) else {
        if let pointer = nextRewinddir.pointer { unsafeBitCast(pointer, to: Rewind.self)(stream) }
        return
    }
    Slots.directory(slot)?.position = 0
}

@c(telldir) public func telldirShim(_ stream: OpaquePointer?) -> Int {
    guard let slot = Slots.find(stream) else {
        guard let pointer = nextTelldir.pointer else { return Int(minus(ENOSYS)) }
        return unsafeBitCast(pointer, to: Tell.self)(stream)
    }
    return Slots.directory(slot)?.position ?? Int(minus(EBADF))
}

@c(seekdir) public func seekdirShim(_ stream: OpaquePointer?, _ position: Int) {
    guard let slot = Slots.find(stream) else {
        if let pointer = nextSeekdir.pointer { unsafeBitCast(pointer, to: Seek.self)(stream, position) }
        return
    }
    Slots.directory(slot)?.position = max(0, position)
}
