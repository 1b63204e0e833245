// SPDX-License-Identifier: Apache-2.0
import CVerbs
import Synchronization

/// The tree that applications see. Programs look behind the library: UCX takes a device only if
/// /dev/infiniband/<dev_name> is a character device that it may read and write, Open MPI only if
/// /sys/class/infiniband is a directory; both read attributes of ports.
///
/// What the machine really has in these places is hidden: a virtual device and a real one of the
/// same name must not be mixed up.
enum VirtualFiles {
    private final class Published {
        let tree: FileTree
        init(_ tree: FileTree) { self.tree = tree }
    }

    /// The published tree's address, or 0.
    private static let current = Atomic<UInt>(0)

    /// Replaces the tree. Readers take no lock, since a signal handler or a child of fork() in a
    /// threaded process may look a path up; so an old tree is kept for ever. A device appears once
    /// in a process's life.
    static func publish(_ tree: FileTree) {
        let box = Unmanaged.passRetained(Published(tree))
        current.store(UInt(bitPattern: box.toOpaque()), ordering: .releasing)
    }

    /// What is at a path that `VirtualPath.isVirtual` holds for. The device is there from the start;
    /// its files are made when somebody looks, so that a program that uses no verbs pays nothing.
    static var tree: FileTree {
        if let known = published(current.load(ordering: .acquiring)) { return known }
        let made = Unmanaged.passRetained(Published(DeviceFiles.tree()))
        // Of threads that look at the same time for the first time, one wins.
        let (won, winner) = current.compareExchange(
            expected: 0, desired: UInt(bitPattern: made.toOpaque()), ordering: .acquiringAndReleasing)
        if won { return made.takeUnretainedValue().tree }
        made.release()
        return published(winner) ?? FileTree()
    }

    private static func published(_ address: UInt) -> FileTree? {
        guard let box = UnsafeRawPointer(bitPattern: address) else { return nil }
        return Unmanaged<Published>.fromOpaque(box).takeUnretainedValue().tree
    }

    static func lookUp(_ path: UnsafePointer<CChar>, followLast: Bool = true) -> (FileTree, Resolution) {
        let tree = tree
        return (tree, tree.resolve(path, followLast: followLast))
    }
}
