// SPDX-License-Identifier: Apache-2.0
import CVerbs

// stat and access, under every name that compilers have made of them. These must stay without a
// symbol version, or glibc passes them over; on the 64-bit machines we run on, struct stat64 is
// struct stat. glibc before 2.33 had __xstat behind an inline stat, and old programs still call it.

/// Where stat puts its answer.
public typealias StatBuffer = UnsafeMutablePointer<stat>

private typealias Stat = @convention(c) (CPath?, StatBuffer?) -> Int32
private typealias VersionedStat = @convention(c) (
    Int32, CPath?, StatBuffer?
) -> Int32
private typealias StatAt = @convention(c) (
    Int32, CPath?, StatBuffer?, Int32
) -> Int32
private typealias VersionedStatAt = @convention(c) (
    Int32, Int32, CPath?, StatBuffer?, Int32
) -> Int32
private typealias StatX = @convention(c) (
    Int32, CPath?, Int32, UInt32, UnsafeMutablePointer<statx>?
) -> Int32
private typealias Access = @convention(c) (CPath?, Int32) -> Int32
private typealias AccessAt = @convention(c) (Int32, CPath?, Int32, Int32) -> Int32

private let nextStat = NextFunction("stat")
private let nextStat64 = NextFunction("stat64")
private let nextLstat = NextFunction("lstat")
private let nextLstat64 = NextFunction("lstat64")
private let nextXstat = NextFunction("__xstat")
private let nextXstat64 = NextFunction("__xstat64")
private let nextLxstat = NextFunction("__lxstat")
private let nextLxstat64 = NextFunction("__lxstat64")
private let nextFstatat = NextFunction("fstatat")
private let nextFstatat64 = NextFunction("fstatat64")
private let nextFxstatat = NextFunction("__fxstatat")
private let nextFxstatat64 = NextFunction("__fxstatat64")
private let nextStatx = NextFunction("statx")
private let nextAccess = NextFunction("access")
private let nextEaccess = NextFunction("eaccess")
private let nextEuidaccess = NextFunction("euidaccess")
private let nextFaccessat = NextFunction("faccessat")

/// -1 and errno, as all of these fail.
func minus(_ number: Int32) -> Int32 {
    errorNumber = number
    return -1
}

/// Looks a virtual path up; `elsewhere` asks libc about the path that it leads to.
private func answer(
    _ path: CPath, follow: Bool, found: (Status) -> Int32,
    elsewhere: (CPath) -> Int32
) -> Int32 {
    let (tree, resolution) = VirtualFiles.lookUp(path, followLast: follow)
    switch resolution {
    case .entry(let index): return found(Status(tree, index))
    case .missing(let number): return minus(number)
    case .elsewhere(let other): return other.withUnsafeBufferPointer { elsewhere($0.baseAddress!) }
    }
}

@inline(__always)
private func stat(
    _ next: borrowing NextFunction, _ path: CPath?, _ out: StatBuffer?,
    follow: Bool
) -> Int32 {
    guard let pointer = next.pointer else { return minus(ENOSYS) }
    let call = unsafeBitCast(pointer, to: Stat.self)
    guard let path, let out, VirtualPath.isVirtual(path) else { return call(path, out) }
    return answer(path, follow: follow, found: { $0.fill(out); return 0 }, elsewhere: { call($0, out) })
}

@inline(__always)
private func stat(
    _ next: borrowing NextFunction, _ version: Int32, _ path: CPath?,
    _ out: StatBuffer?, follow: Bool
) -> Int32 {
    guard let pointer = next.pointer else { return minus(ENOSYS) }
    let call = unsafeBitCast(pointer, to: VersionedStat.self)
    guard let path, let out, VirtualPath.isVirtual(path) else { return call(version, path, out) }
    return answer(
        path, follow: follow, found: { $0.fill(out); return 0 }, elsewhere: { call(version, $0, out) })
}

@c(stat) public func statShim(_ path: CPath?, _ out: StatBuffer?) -> Int32 {
    stat(nextStat, path, out, follow: true)
}

@c(stat64) public func stat64Shim(_ path: CPath?, _ out: StatBuffer?) -> Int32 {
    stat(nextStat64, path, out, follow: true)
}

@c(lstat) public func lstatShim(_ path: CPath?, _ out: StatBuffer?) -> Int32 {
    stat(nextLstat, path, out, follow: false)
}

@c(lstat64) public func lstat64Shim(_ path: CPath?, _ out: StatBuffer?) -> Int32 {
    stat(nextLstat64, path, out, follow: false)
}

@c(__xstat) public func xstatShim(
    _ version: Int32, _ path: CPath?, _ out: StatBuffer?
) -> Int32 { stat(nextXstat, version, path, out, follow: true) }

@c(__xstat64) public func xstat64Shim(
    _ version: Int32, _ path: CPath?, _ out: StatBuffer?
) -> Int32 { stat(nextXstat64, version, path, out, follow: true) }

@c(__lxstat) public func lxstatShim(
    _ version: Int32, _ path: CPath?, _ out: StatBuffer?
) -> Int32 { stat(nextLxstat, version, path, out, follow: false) }

@c(__lxstat64) public func lxstat64Shim(
    _ version: Int32, _ path: CPath?, _ out: StatBuffer?
) -> Int32 { stat(nextLxstat64, version, path, out, follow: false) }

// The *at functions ignore their directory for an absolute path, and only those are virtual.

@inline(__always)
private func stat(
    _ next: borrowing NextFunction, at directory: Int32, _ path: CPath?,
    _ out: StatBuffer?, _ flags: Int32
) -> Int32 {
    guard let pointer = next.pointer else { return minus(ENOSYS) }
    let call = unsafeBitCast(pointer, to: StatAt.self)
    guard let path, let out, VirtualPath.isVirtual(path) else { return call(directory, path, out, flags) }
    return answer(
        path, follow: flags & AT_SYMLINK_NOFOLLOW == 0, found: { $0.fill(out); return 0 },
        elsewhere: { call(directory, $0, out, flags) })
}

@inline(__always)
private func stat(
    _ next: borrowing NextFunction, _ version: Int32, at directory: Int32, _ path: CPath?,
    _ out: StatBuffer?, _ flags: Int32
) -> Int32 {
    guard let pointer = next.pointer else { return minus(ENOSYS) }
    let call = unsafeBitCast(pointer, to: VersionedStatAt.self)
    guard let path, let out, VirtualPath.isVirtual(path) else {
        return call(version, directory, path, out, flags)
    }
    return answer(
        path, follow: flags & AT_SYMLINK_NOFOLLOW == 0, found: { $0.fill(out); return 0 },
        elsewhere: { call(version, directory, $0, out, flags) })
}

@c(fstatat) public func fstatatShim(
    _ directory: Int32, _ path: CPath?, _ out: StatBuffer?, _ flags: Int32
) -> Int32 { stat(nextFstatat, at: directory, path, out, flags) }

@c(fstatat64) public func fstatat64Shim(
    _ directory: Int32, _ path: CPath?, _ out: StatBuffer?, _ flags: Int32
) -> Int32 { stat(nextFstatat64, at: directory, path, out, flags) }

@c(__fxstatat) public func fxstatatShim(
    _ version: Int32, _ directory: Int32, _ path: CPath?, _ out: StatBuffer?,
    _ flags: Int32
) -> Int32 { stat(nextFxstatat, version, at: directory, path, out, flags) }

@c(__fxstatat64) public func fxstatat64Shim(
    _ version: Int32, _ directory: Int32, _ path: CPath?, _ out: StatBuffer?,
    _ flags: Int32
) -> Int32 { stat(nextFxstatat64, version, at: directory, path, out, flags) }

@c(statx) public func statxShim(
    _ directory: Int32, _ path: CPath?, _ flags: Int32, _ mask: UInt32,
    _ out: UnsafeMutablePointer<statx>?
) -> Int32 {
    guard let pointer = nextStatx.pointer else { return minus(ENOSYS) }
    let call = unsafeBitCast(pointer, to: StatX.self)
    guard let path, let out, VirtualPath.isVirtual(path) else {
        return call(directory, path, flags, mask, out)
    }
    return answer(
        path, follow: flags & AT_SYMLINK_NOFOLLOW == 0, found: { $0.fill(out); return 0 },
        elsewhere: { call(directory, $0, flags, mask, out) })
}

// MARK: access

@inline(__always)
private func access(_ next: borrowing NextFunction, _ path: CPath?, _ mode: Int32) -> Int32 {
    guard let pointer = next.pointer else { return minus(ENOSYS) }
    let call = unsafeBitCast(pointer, to: Access.self)
    guard let path, VirtualPath.isVirtual(path) else { return call(path, mode) }
    return answer(
        path, follow: true, found: { $0.grants(mode) ? 0 : minus(EACCES) }, elsewhere: { call($0, mode) })
}

@c(access) public func accessShim(_ path: CPath?, _ mode: Int32) -> Int32 {
    access(nextAccess, path, mode)
}

@c(eaccess) public func eaccessShim(_ path: CPath?, _ mode: Int32) -> Int32 {
    access(nextEaccess, path, mode)
}

@c(euidaccess) public func euidaccessShim(_ path: CPath?, _ mode: Int32) -> Int32 {
    access(nextEuidaccess, path, mode)
}

@c(faccessat) public func faccessatShim(
    _ directory: Int32, _ path: CPath?, _ mode: Int32, _ flags: Int32
) -> Int32 {
    guard let pointer = nextFaccessat.pointer else { return minus(ENOSYS) }
    let call = unsafeBitCast(pointer, to: AccessAt.self)
    guard let path, VirtualPath.isVirtual(path) else { return call(directory, path, mode, flags) }
    return answer(
        path, follow: flags & AT_SYMLINK_NOFOLLOW == 0, found: { $0.grants(mode) ? 0 : minus(EACCES) },
        elsewhere: { call(directory, $0, mode, flags) })
}
