// SPDX-License-Identifier: Apache-2.0
import CVerbs

// readlink and realpath, and the names fortified programs call them by, which carry the size of
// the buffer; where it is too small libc ends the program, and so does asking libc from here.

private typealias ReadLink = @convention(c) (CPath?, CBuffer?, Int) -> Int
private typealias ReadLinkAt = @convention(c) (
    Int32, CPath?, CBuffer?, Int
) -> Int
private typealias CheckedReadLink = @convention(c) (
    CPath?, CBuffer?, Int, Int
) -> Int
private typealias CheckedReadLinkAt = @convention(c) (
    Int32, CPath?, CBuffer?, Int, Int
) -> Int
private typealias RealPath = @convention(c) (
    CPath?, CBuffer?
) -> CBuffer?
private typealias CheckedRealPath = @convention(c) (
    CPath?, CBuffer?, Int
) -> CBuffer?
private typealias CanonicalName = @convention(c) (CPath?) -> CBuffer?

private let nextReadlink = NextFunction("readlink")
private let nextReadlinkat = NextFunction("readlinkat")
private let nextReadlinkChk = NextFunction("__readlink_chk")
private let nextReadlinkatChk = NextFunction("__readlinkat_chk")
private let nextRealpath = NextFunction("realpath")
private let nextRealpathChk = NextFunction("__realpath_chk")
private let nextCanonicalName = NextFunction("canonicalize_file_name")

private func answer(
    _ path: CPath, _ out: CBuffer, _ size: Int,
    elsewhere: (CPath) -> Int
) -> Int {
    let (tree, resolution) = VirtualFiles.lookUp(path, followLast: false)
    switch resolution {
    case .entry(let index):
        guard case .link(let target) = tree.entries[index].node, size > 0 else {
            return Int(minus(EINVAL))
        }
        let length = min(size, target.count)
        target.withUnsafeBytes { _ = memcpy(out, $0.baseAddress!, length) }
        return length
    case .missing(let number): return Int(minus(number))
    case .elsewhere(let other): return other.withUnsafeBufferPointer { elsewhere($0.baseAddress!) }
    }
}

@c(readlink) public func readlinkShim(
    _ path: CPath?, _ out: CBuffer?, _ size: Int
) -> Int {
    guard let pointer = nextReadlink.pointer else { return Int(minus(ENOSYS)) }
    let call = unsafeBitCast(pointer, to: ReadLink.self)
    guard let path, let out, VirtualPath.isVirtual(path) else { return call(path, out, size) }
    return answer(path, out, size) { call($0, out, size) }
}

@c(readlinkat) public func readlinkatShim(
    _ directory: Int32, _ path: CPath?, _ out: CBuffer?, _ size: Int
) -> Int {
    guard let pointer = nextReadlinkat.pointer else { return Int(minus(ENOSYS)) }
    let call = unsafeBitCast(pointer, to: ReadLinkAt.self)
    guard let path, let out, VirtualPath.isVirtual(path) else { return call(directory, path, out, size) }
    return answer(path, out, size) { call(directory, $0, out, size) }
}

@c(__readlink_chk) public func readlinkChkShim(
    _ path: CPath?, _ out: CBuffer?, _ size: Int, _ outSize: Int
) -> Int {
    guard let pointer = nextReadlinkChk.pointer else { return Int(minus(ENOSYS)) }
    let call = unsafeBitCast(pointer, to: CheckedReadLink.self)
    guard let path, let out, size <= outSize, VirtualPath.isVirtual(path) else {
        return call(path, out, size, outSize)
    }
    return answer(path, out, size) { call($0, out, size, outSize) }
}

@c(__readlinkat_chk) public func readlinkatChkShim(
    _ directory: Int32, _ path: CPath?, _ out: CBuffer?, _ size: Int,
    _ outSize: Int
) -> Int {
    guard let pointer = nextReadlinkatChk.pointer else { return Int(minus(ENOSYS)) }
    let call = unsafeBitCast(pointer, to: CheckedReadLinkAt.self)
    guard let path, let out, size <= outSize, VirtualPath.isVirtual(path) else {
        return call(directory, path, out, size, outSize)
    }
    return answer(path, out, size) { call(directory, $0, out, size, outSize) }
}

// MARK: realpath

/// `out` may be nil: the caller then frees what it gets.
private func answer(
    _ path: CPath, _ out: CBuffer?,
    elsewhere: (CPath) -> CBuffer?
) -> CBuffer? {
    let (tree, resolution) = VirtualFiles.lookUp(path)
    switch resolution {
    case .entry(let index):
        let real = tree.entries[index].path
        let own = out == nil ? malloc(real.count + 1) : nil
        guard let result = out ?? own?.assumingMemoryBound(to: CChar.self) else { return nil }
        real.withUnsafeBytes { _ = memcpy(result, $0.baseAddress!, real.count) }
        result[real.count] = 0
        return result
    case .missing(let number):
        errorNumber = number
        return nil
    case .elsewhere(let other): return other.withUnsafeBufferPointer { elsewhere($0.baseAddress!) }
    }
}

private func noFunction() -> CBuffer? {
    errorNumber = ENOSYS
    return nil
}

@c(realpath) public func realpathShim(
    _ path: CPath?, _ out: CBuffer?
) -> CBuffer? {
    guard let pointer = nextRealpath.pointer else { return noFunction() }
    let call = unsafeBitCast(pointer, to: RealPath.self)
    guard let path, VirtualPath.isVirtual(path) else { return call(path, out) }
    return answer(path, out) { call($0, out) }
}

@c(__realpath_chk) public func realpathChkShim(
    _ path: CPath?, _ out: CBuffer?, _ outSize: Int
) -> CBuffer? {
    guard let pointer = nextRealpathChk.pointer else { return noFunction() }
    let call = unsafeBitCast(pointer, to: CheckedRealPath.self)
    guard let path, outSize >= Int(PATH_MAX), VirtualPath.isVirtual(path) else {
        return call(path, out, outSize)
    }
    return answer(path, out) { call($0, out, outSize) }
}

@c(canonicalize_file_name) public func canonicalNameShim(
    _ path: CPath?
) -> CBuffer? {
    guard let pointer = nextCanonicalName.pointer else { return noFunction() }
    let call = unsafeBitCast(pointer, to: CanonicalName.self)
    guard let path, VirtualPath.isVirtual(path) else { return call(path) }
    return answer(path, nil) { call($0) }
}
