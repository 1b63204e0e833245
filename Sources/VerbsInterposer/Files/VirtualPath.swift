// SPDX-License-Identifier: Apache-2.0
import CVerbs

/// Paths that this library answers for.
enum VirtualPath {
    private static var device: StaticString { "/dev/infiniband" }
    private static var sysfs: StaticString { "/sys/class/infiniband" }
    private static var verbs: StaticString { "/sys/class/infiniband_verbs" }

    /// The whole cost for every other path of the application: two comparisons of a byte, most often.
    @inline(__always)
    static func isVirtual(_ path: UnsafePointer<CChar>?) -> Bool {
        guard let path, path[0] == 0x2f else { return false }
        switch path[1] {
        case 0x64: return leads(path, device) // d
        case 0x73: return leads(path, sysfs) || leads(path, verbs) // s
        default: return false
        }
    }

    /// A root, or something below one, is at this path.
    static func isBelowRoot(_ path: [UInt8]) -> Bool {
        var text = path
        text.append(0)
        return text.withUnsafeBytes { isVirtual($0.baseAddress!.assumingMemoryBound(to: CChar.self)) }
    }

    private static func leads(_ path: UnsafePointer<CChar>, _ root: StaticString) -> Bool {
        let length = root.utf8CodeUnitCount
        let text = UnsafeRawPointer(root.utf8Start).assumingMemoryBound(to: CChar.self)
        return strncmp(path, text, length) == 0 && (path[length] == 0 || path[length] == 0x2f)
    }
}

/// What a path turns out to be.
enum Resolution {
    /// An entry of the tree, at its index.
    case entry(Int)
    /// An error number: nothing is there.
    case missing(Int32)
    /// By ".." or a link, somewhere that is not ours: the path to look at instead, with its zero.
    case elsewhere([CChar])
}

extension FileTree {
    /// Links that one look-up may follow, as in Linux.
    private static var linksMax: Int { 40 }

    /// Walks a path as the kernel does: dots, doubled slashes and links.
    func resolve(_ path: UnsafePointer<CChar>, followLast: Bool) -> Resolution {
        let length = strlen(path)
        var rest = Self.components(UnsafeRawBufferPointer(start: path, count: length))
        let mustBeDirectory = length > 0 && path[length - 1] == 0x2f
        var at: [UInt8] = []
        var links = 0
        while let name = rest.popLast() {
            if name.isEmpty || name == [UInt8(ascii: ".")] { continue }
            if name == [UInt8(ascii: "."), UInt8(ascii: ".")] {
                at.removeSubrange((at.lastIndex(of: UInt8(ascii: "/")) ?? at.startIndex)...)
                continue
            }
            let directory = at
            at.append(UInt8(ascii: "/"))
            at += name
            guard VirtualPath.isBelowRoot(at) else { continue }
            guard let index = index(of: at) else { return .missing(ENOENT) }
            let isLast = !rest.contains { !$0.isEmpty }
            switch entries[index].node {
            case .link(let target) where followLast || !isLast || mustBeDirectory:
                links += 1
                if links > Self.linksMax { return .missing(ELOOP) }
                at = target.first == UInt8(ascii: "/") ? [] : directory
                rest += target.withUnsafeBytes { Self.components($0) }
            case .file, .computed, .device:
                if !isLast || mustBeDirectory { return .missing(ENOTDIR) }
            default: break
            }
        }
        if let index = index(of: at) { return .entry(index) }
        if VirtualPath.isBelowRoot(at) { return .missing(ENOENT) }
        if at.isEmpty || mustBeDirectory { at.append(UInt8(ascii: "/")) }
        return .elsewhere(at.map { CChar(bitPattern: $0) } + [0])
    }

    /// A path's names, the last one first, so that the next one is cheap to take.
    private static func components(_ path: UnsafeRawBufferPointer) -> [[UInt8]] {
        var names: [[UInt8]] = []
        var name: [UInt8] = []
        for byte in path {
            if byte == UInt8(ascii: "/") {
                names.append(name)
                name = []
            } else {
                name.append(byte)
            }
        }
        names.append(name)
        names.reverse()
        return names
    }
}
