// SPDX-License-Identifier: Apache-2.0
import CVerbs

// open and fopen. open is variadic in C; here the mode is a third parameter, which in the calling
// conventions of x86-64 and AArch64 Linux lies where a variadic one does. A caller that passed
// none left anything there, and whoever reads it looks at the flags first.

private typealias Open = @convention(c) (CPath?, Int32, UInt32) -> Int32
private typealias OpenAt = @convention(c) (Int32, CPath?, Int32, UInt32) -> Int32
private typealias OpenStream = @convention(c) (CPath?, CPath?) -> UnsafeMutablePointer<FILE>?

private let nextOpen = NextFunction("open")
private let nextOpen64 = NextFunction("open64")
private let nextOpen2 = NextFunction("__open_2")
private let nextOpen642 = NextFunction("__open64_2")
private let nextOpenat = NextFunction("openat")
private let nextOpenat64 = NextFunction("openat64")
private let nextOpenat2 = NextFunction("__openat_2")
private let nextOpenat642 = NextFunction("__openat64_2")
private let nextFopen = NextFunction("fopen")
private let nextFopen64 = NextFunction("fopen64")

extension FileTree {
    /// Opens an entry. A file is an anonymous one with the content, so that reading, seeking, mapping
    /// and inheriting it need nothing of us.
    func open(_ index: Int, _ flags: Int32) -> Int32 {
        switch entries[index].node {
        case .directory:
            // A descriptor of it would have to serve getdents and be a place for openat to start.
            return minus(flags & O_ACCMODE == O_RDONLY ? EACCES : EISDIR)
        case .link:
            return minus(ELOOP) // only O_NOFOLLOW leads here
        case .device(_, _, let open):
            if flags & O_DIRECTORY != 0 { return minus(ENOTDIR) }
            guard let open else { return minus(ENXIO) }
            return open(flags)
        case .file(let content): return Self.openFile(flags) { content }
        case .computed(let content): return Self.openFile(flags) { Array(content().utf8) }
        }
    }

    private static func openFile(_ flags: Int32, _ content: () -> [UInt8]) -> Int32 {
        if flags & O_DIRECTORY != 0 { return minus(ENOTDIR) }
        if flags & (O_CREAT | O_EXCL) == O_CREAT | O_EXCL { return minus(EEXIST) }
        if flags & O_ACCMODE != O_RDONLY { return minus(EACCES) }
        return anonymousFile(content(), closeOnExec: flags & O_CLOEXEC != 0)
    }

    private static func anonymousFile(_ content: [UInt8], closeOnExec: Bool) -> Int32 {
        let descriptor = memfd_create("sysfs", closeOnExec ? 1 : 0) // MFD_CLOEXEC
        if descriptor < 0 { return -1 }
        let written = content.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, 0) }
        if written == content.count { return descriptor }
        let number = written < 0 ? errorNumber : ENOSPC
        _ = close(descriptor)
        return minus(number)
    }
}

private func answer(
    _ path: CPath, _ flags: Int32, elsewhere: (CPath) -> Int32
) -> Int32 {
    let (tree, resolution) = VirtualFiles.lookUp(path, followLast: flags & O_NOFOLLOW == 0)
    switch resolution {
    case .entry(let index): return tree.open(index, flags)
    case .missing(let number): return minus(number == ENOENT && flags & O_CREAT != 0 ? EACCES : number)
    case .elsewhere(let other): return other.withUnsafeBufferPointer { elsewhere($0.baseAddress!) }
    }
}

@inline(__always)
private func open(
    _ next: borrowing NextFunction, _ path: CPath?, _ flags: Int32, _ mode: UInt32
) -> Int32 {
    guard let pointer = next.pointer else { return minus(ENOSYS) }
    let call = unsafeBitCast(pointer, to: Open.self)
    guard let path, VirtualPath.isVirtual(path) else { return call(path, flags, mode) }
    return answer(path, flags) { call($0, flags, mode) }
}

@inline(__always)
private func open(
    _ next: borrowing NextFunction, at directory: Int32, _ path: CPath?, _ flags: Int32,
    _ mode: UInt32
) -> Int32 {
    guard let pointer = next.pointer else { return minus(ENOSYS) }
    let call = unsafeBitCast(pointer, to: OpenAt.self)
    guard let path, VirtualPath.isVirtual(path) else { return call(directory, path, flags, mode) }
    return answer(path, flags) { call(directory, $0, flags, mode) }
}

@c(open) public func openShim(_ path: CPath?, _ flags: Int32, _ mode: UInt32) -> Int32 {
    open(nextOpen, path, flags, mode)
}

@c(open64) public func open64Shim(_ path: CPath?, _ flags: Int32, _ mode: UInt32) -> Int32 {
    open(nextOpen64, path, flags, mode)
}

// The _2 names are what fortified programs call when no mode is given.

@c(__open_2) public func open2Shim(_ path: CPath?, _ flags: Int32) -> Int32 {
    open(nextOpen2, path, flags, 0)
}

@c(__open64_2) public func open642Shim(_ path: CPath?, _ flags: Int32) -> Int32 {
    open(nextOpen642, path, flags, 0)
}

@c(openat) public func openatShim(
    _ directory: Int32, _ path: CPath?, _ flags: Int32, _ mode: UInt32
) -> Int32 { open(nextOpenat, at: directory, path, flags, mode) }

@c(openat64) public func openat64Shim(
    _ directory: Int32, _ path: CPath?, _ flags: Int32, _ mode: UInt32
) -> Int32 { open(nextOpenat64, at: directory, path, flags, mode) }

@c(__openat_2) public func openat2Shim(
    _ directory: Int32, _ path: CPath?, _ flags: Int32
) -> Int32 { open(nextOpenat2, at: directory, path, flags, 0) }

@c(__openat64_2) public func openat642Shim(
    _ directory: Int32, _ path: CPath?, _ flags: Int32
) -> Int32 { open(nextOpenat642, at: directory, path, flags, 0) }

// MARK: streams

/// glibc opens a stream's file without going through open's symbol: the stream is made here.
@inline(__always)
private func openStream(
    _ next: borrowing NextFunction, _ path: CPath?, _ mode: CPath?
) -> UnsafeMutablePointer<FILE>? {
    guard let pointer = next.pointer else {
        errorNumber = ENOSYS
        return nil
    }
    let call = unsafeBitCast(pointer, to: OpenStream.self)
    guard let path, let mode, VirtualPath.isVirtual(path) else { return call(path, mode) }
    let (tree, resolution) = VirtualFiles.lookUp(path)
    switch resolution {
    case .elsewhere(let other): return other.withUnsafeBufferPointer { call($0.baseAddress, mode) }
    case .missing(let number):
        errorNumber = number
        return nil
    case .entry(let index):
        let descriptor = tree.open(index, streamFlags(mode))
        if descriptor < 0 { return nil }
        guard let stream = fdopen(descriptor, mode) else {
            let number = errorNumber
            _ = close(descriptor)
            errorNumber = number
            return nil
        }
        return stream
    }
}

/// open's flags for fopen's mode: a letter, then '+' and 'e' (close on exec) among others.
private func streamFlags(_ mode: CPath) -> Int32 {
    var flags = mode[0] == CChar(bitPattern: UInt8(ascii: "r")) ? O_RDONLY : O_WRONLY
    var at = 1
    while mode[0] != 0, mode[at] != 0, mode[at] != CChar(bitPattern: UInt8(ascii: ",")) {
        if mode[at] == CChar(bitPattern: UInt8(ascii: "+")) { flags = flags & ~O_ACCMODE | O_RDWR }
        if mode[at] == CChar(bitPattern: UInt8(ascii: "e")) { flags |= O_CLOEXEC }
        at += 1
    }
    return flags
}

@c(fopen) public func fopenShim(
    _ path: CPath?, _ mode: CPath?
) -> UnsafeMutablePointer<FILE>? { openStream(nextFopen, path, mode) }

@c(fopen64) public func fopen64Shim(
    _ path: CPath?, _ mode: CPath?
) -> UnsafeMutablePointer<FILE>? { openStream(nextFopen64, path, mode) }
