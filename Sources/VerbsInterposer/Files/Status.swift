// SPDX-License-Identifier: Apache-2.0
import CVerbs

/// What stat and its relatives say of an entry.
struct Status {
    let mode: Int32
    let size: Int
    let major: UInt32
    let minor: UInt32
    let inode: UInt64

    /// An attribute of sysfs has the size of a page, whatever it holds; a link that of its target.
    static var attributeSize: Int { 4096 }

    init(_ tree: FileTree, _ index: Int) {
        inode = UInt64(index) + 1
        switch tree.entries[index].node {
        case .directory: (mode, size, major, minor) = (S_IFDIR | 0o755, 0, 0, 0)
        case .file, .computed: (mode, size, major, minor) = (S_IFREG | 0o444, Self.attributeSize, 0, 0)
        case .link(let target): (mode, size, major, minor) = (S_IFLNK | 0o777, target.count, 0, 0)
        case .device(let major, let minor, _):
            (mode, size, self.major, self.minor) = (S_IFCHR | 0o666, 0, major, minor)
        }
    }

    /// Whether access(2) would grant these permissions. Nothing can be written but devices.
    func grants(_ wanted: Int32) -> Bool {
        let kind = mode & S_IFMT
        if wanted & W_OK != 0 && kind != S_IFCHR { return false }
        return wanted & X_OK == 0 || kind == S_IFDIR
    }

    func fill(_ out: UnsafeMutablePointer<stat>) {
        out.pointee = stat()
        out.pointee.st_ino = .init(inode)
        out.pointee.st_mode = .init(mode)
        out.pointee.st_nlink = mode & S_IFMT == S_IFDIR ? 2 : 1
        out.pointee.st_size = size
        out.pointee.st_blksize = .init(Self.attributeSize)
        out.pointee.st_rdev = .init(deviceNumber)
    }

    func fill(_ out: UnsafeMutablePointer<statx>) {
        out.pointee = statx()
        out.pointee.stx_mask = 0x7ff // STATX_BASIC_STATS, all that stat tells
        out.pointee.stx_ino = inode
        out.pointee.stx_mode = UInt16(mode)
        out.pointee.stx_nlink = mode & S_IFMT == S_IFDIR ? 2 : 1
        out.pointee.stx_size = UInt64(size)
        out.pointee.stx_blksize = UInt32(Self.attributeSize)
        out.pointee.stx_rdev_major = major
        out.pointee.stx_rdev_minor = minor
    }

    /// makedev(3), which is a macro: the low parts are 12 and 8 bits, the high ones lie above.
    private var deviceNumber: UInt64 {
        let (major, minor) = (UInt64(major), UInt64(minor))
        let high = (major & 0xffff_f000) << 32 | (minor & 0xffff_ff00) << 12
        return high | (major & 0xfff) << 8 | minor & 0xff
    }
}
