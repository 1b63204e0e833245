// SPDX-License-Identifier: Apache-2.0
import CVerbs

/// The kernel's connection manager, which librdmacm talks to through a character device.
enum ConnectionManager {
    static var path: String { "/dev/infiniband/rdma_cm" }

    /// The misc device's number in Linux; librdmacm compares what fstat says with it.
    static var major: UInt32 { 10 }

    /// Makes the device exist. From then on every open of it, whatever the path's spelling, is
    /// `open`'s to answer; a tree without it answers ENOENT, and librdmacm finds no connection manager.
    static func add(to tree: inout FileTree, minor: UInt32, open: @escaping OpenDevice) {
        tree.add(device: path, major: major, minor: minor, open: open)
    }

    /// Whether a path, as the application wrote it, is the connection manager's device.
    static func isDevice(_ path: UnsafePointer<CChar>?) -> Bool {
        guard let path, VirtualPath.isVirtual(path) else { return false }
        guard case (let tree, .entry(let index)) = VirtualFiles.lookUp(path) else { return false }
        return tree.entries[index].path == Array(Self.path.utf8)
    }
}
