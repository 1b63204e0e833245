// SPDX-License-Identifier: Apache-2.0
import CVerbs

/// Opens a device node with the flags of open(2): a descriptor, or -1 and errno.
typealias OpenDevice = @convention(c) (_ flags: Int32) -> Int32

/// What an application finds below /dev/infiniband and /sys/class/infiniband. A value: filled with
/// `add`, then given to `VirtualFiles.publish`.
struct FileTree {
    enum Node {
        case directory
        case file([UInt8])
        /// A file whose content is asked for when it is opened.
        case computed(() -> String)
        /// The target's text, as readlink gives it.
        case link([UInt8])
        case device(major: UInt32, minor: UInt32, open: OpenDevice?)
    }

    struct Entry {
        let path: [UInt8]
        var node: Node
    }

    /// Sorted by path, so that a look-up halves.
    private(set) var entries: [Entry] = []

    mutating func add(directory path: String) { insert(Array(path.utf8), .directory) }

    mutating func add(file path: String, _ content: String) {
        insert(Array(path.utf8), .file(Array(content.utf8)))
    }

    mutating func add(file path: String, bytes content: [UInt8]) {
        insert(Array(path.utf8), .file(content))
    }

    mutating func add(file path: String, computed content: @escaping () -> String) {
        insert(Array(path.utf8), .computed(content))
    }

    mutating func add(link path: String, to target: String) {
        insert(Array(path.utf8), .link(Array(target.utf8)))
    }

    /// A character device that anyone may read and write. Without `open` it can be looked at only.
    mutating func add(device path: String, major: UInt32, minor: UInt32, open: OpenDevice? = nil) {
        insert(Array(path.utf8), .device(major: major, minor: minor, open: open))
    }

    func index(of path: [UInt8]) -> Int? {
        let at = place(of: path)
        return at < entries.count && entries[at].path == path ? at : nil
    }

    /// The names directly in a directory, with their entries' indices.
    func children(of directory: [UInt8]) -> [Int] {
        var found: [Int] = []
        for (index, entry) in entries.enumerated() {
            let path = entry.path
            guard path.count > directory.count + 1, path[directory.count] == UInt8(ascii: "/"),
                path.starts(with: directory), !path[(directory.count + 1)...].contains(UInt8(ascii: "/"))
            else { continue }
            found.append(index)
        }
        return found
    }

    /// Puts an entry in its place, with the directories that lead to it.
    private mutating func insert(_ path: [UInt8], _ node: Node) {
        let at = place(of: path)
        if at < entries.count, entries[at].path == path {
            entries[at].node = node
            return
        }
        entries.insert(Entry(path: path, node: node), at: at)
        if let slash = path.lastIndex(of: UInt8(ascii: "/")) {
            let parent = Array(path[..<slash])
            if VirtualPath.isBelowRoot(parent), index(of: parent) == nil { insert(parent, .directory) }
        }
    }

    /// The first index whose path does not sort before `path`.
    private func place(of path: [UInt8]) -> Int {
        var low = 0
        var high = entries.count
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].path.lexicographicallyPrecedes(path) {
                low = middle + 1
            } else {
                high = middle
            }
        }
        return low
    }
}
