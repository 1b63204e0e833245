// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc

/// Typed readers of /proc (proc(5)). All of them may be called from any thread; a process that
/// has gone in the meantime is `nil` or an error with ENOENT or ESRCH.
public enum ProcFS {
    public static func read(_ path: String) throws(SystemError) -> [UInt8] {
        try Descriptor.open(path, O_RDONLY).readToEnd()
    }

    public static func text(_ path: String) throws(SystemError) -> String {
        String(decoding: try read(path), as: UTF8.self)
    }

    public static func link(_ path: String) -> String? {
        var buffer = [CChar](repeating: 0, count: 4097)
        let n = readlink(path, &buffer, 4096)
        guard n >= 0 else { return nil }
        return String(decoding: buffer[0..<n].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Of what `/proc/PID/fd/N` calls "socket:[123]" or "pipe:[123]"; nil for other links.
    public static func inode(of link: String) -> UInt64? {
        guard let open = link.firstIndex(of: "["), link.last == "]" else { return nil }
        return UInt64(link[link.index(after: open)...].dropLast())
    }

    /// Numeric names in a directory, ascending: pids, tids or descriptors.
    public static func numbers(in path: String) throws(SystemError) -> [Int32] {
        guard let stream = opendir(path) else {
            throw SystemError(code: errno, operation: "open \(path)")
        }
        defer { closedir(stream) }
        var result: [Int32] = []
        while let entry = readdir(stream) {
            let first = entry.pointee.d_name.0
            guard first >= 48, first <= 57 else { continue }
            let value = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { atoi($0) }
            }
            result.append(value)
        }
        return result.sorted()
    }

    public static func names(in path: String) throws(SystemError) -> [String] {
        guard let stream = opendir(path) else {
            throw SystemError(code: errno, operation: "open \(path)")
        }
        defer { closedir(stream) }
        var result: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { result.append(name) }
        }
        return result.sorted()
    }

    /// Children of every thread of `pid`, as the reader's pid namespace numbers them.
    public static func children(of pid: pid_t) -> [pid_t] {
        guard let threads = try? numbers(in: "/proc/\(pid)/task") else { return [] }
        var result: [pid_t] = []
        for tid in threads {
            guard let bytes = try? read("/proc/\(pid)/task/\(tid)/children") else { continue }
            var scanner = ByteScanner(bytes[...])
            while !scanner.isAtEnd {
                let value = scanner.decimal()
                if value > 0 { result.append(pid_t(value)) }
                scanner.skip()
            }
        }
        return result
    }

    /// All descendants of `pid`, parents before children. Not a consistent view while they run.
    public static func descendants(of pid: pid_t) -> [pid_t] {
        var result = children(of: pid)
        var next = 0
        while next < result.count {
            result += children(of: result[next])
            next += 1
        }
        return result
    }
}

/// /proc/PID/status, the fields that a checkpoint needs.
public struct ProcessStatus: Sendable {
    public var name = ""
    public var state: UInt8 = 0
    public var umask: UInt32 = 0
    public var tracer: pid_t = 0
    public var uids: [UInt32] = []
    public var gids: [UInt32] = []
    public var groups: [UInt32] = []
    /// Ids in each nested pid namespace, outermost first.
    public var namespacePids: [pid_t] = []
    public var namespaceGroups: [pid_t] = []
    public var namespaceSessions: [pid_t] = []
    public var lockedKiB: UInt64 = 0
    public var residentKiB: UInt64 = 0
    public var signalsIgnored: UInt64 = 0
    public var signalsCaught: UInt64 = 0
    public var capabilities: [UInt64] = [0, 0, 0, 0, 0]
    public var noNewPrivileges = false
    public var seccomp: UInt64 = 0
    public var shadowStack = false

    /// `path`: /proc/PID or /proc/PID/task/TID.
    public init(_ path: String) throws(SystemError) {
        for line in try ProcFS.read(path + "/status").split(separator: 10) {
            guard let colon = line.firstIndex(of: 58) else { continue }
            var scanner = ByteScanner(line[(colon + 1)...])
            scanner.skipBlanks()
            set(line[..<colon], &scanner)
        }
    }

    /// Compares bytes, not strings: a job's threads have thousands of these lines, and they are
    /// read while it stands still.
    private mutating func set(_ key: ArraySlice<UInt8>, _ scanner: inout ByteScanner) {
        func list() -> [UInt32] {
            var values: [UInt32] = []
            while let c = scanner.current, c >= 48, c <= 57 {
                values.append(UInt32(scanner.decimal()))
                scanner.skipBlanks()
            }
            return values
        }
        func named(_ name: StaticString) -> Bool {
            key.count == name.utf8CodeUnitCount && key.starts(with: name)
        }
        switch key.first {
        case UInt8(ascii: "N"):
            if named("Name") { name = scanner.rest.text }
            if named("NSpid") { namespacePids = list().map(pid_t.init) }
            if named("NSpgid") { namespaceGroups = list().map(pid_t.init) }
            if named("NSsid") { namespaceSessions = list().map(pid_t.init) }
            if named("NoNewPrivs") { noNewPrivileges = scanner.decimal() != 0 }
        case UInt8(ascii: "S"):
            if named("State") { state = scanner.current ?? 0 }
            if named("SigIgn") { signalsIgnored = scanner.hex() }
            if named("SigCgt") { signalsCaught = scanner.hex() }
            if named("Seccomp") { seccomp = scanner.decimal() }
        case UInt8(ascii: "C"):
            if named("CapInh") { capabilities[0] = scanner.hex() }
            if named("CapPrm") { capabilities[1] = scanner.hex() }
            if named("CapEff") { capabilities[2] = scanner.hex() }
            if named("CapBnd") { capabilities[3] = scanner.hex() }
            if named("CapAmb") { capabilities[4] = scanner.hex() }
        case UInt8(ascii: "U"):
            if named("Uid") { uids = list() }
            if named("Umask") { umask = UInt32(scanner.octal()) }
        case UInt8(ascii: "G"):
            if named("Gid") { gids = list() }
            if named("Groups") { groups = list() }
        case UInt8(ascii: "V"):
            if named("VmLck") { lockedKiB = scanner.decimal() }
            if named("VmRSS") { residentKiB = scanner.decimal() }
        case UInt8(ascii: "T"):
            if named("TracerPid") { tracer = pid_t(scanner.decimal()) }
        case UInt8(ascii: "x"):
            if named("x86_Thread_features") { shadowStack = scanner.rest.text.contains("shstk") }
        default: break
        }
    }
}

/// /proc/PID/stat, the fields that status lacks. Numbers as in proc(5).
public struct ProcessStatistics: Sendable {
    public let state: UInt8
    public let parent: pid_t
    public let group: pid_t
    public let session: pid_t
    public let terminal: Int32
    public let foregroundGroup: pid_t
    public let startTicks: UInt64
    /// start_code, end_code, start_data, end_data, start_brk, start_stack, arg_start, arg_end,
    /// env_start, env_end; zero when the reader may not ptrace the process.
    public let layout: [UInt64]
    public let exitCode: UInt32

    public init(pid: pid_t) throws(SystemError) {
        let bytes = try ProcFS.read("/proc/\(pid)/stat")
        // The command name may hold anything, also parentheses: fields begin after the last.
        guard let close = bytes.lastIndex(of: UInt8(ascii: ")")) else {
            throw SystemError(code: EIO, operation: "parse /proc/\(pid)/stat")
        }
        let fields = bytes[(close + 2)...].split(whereSeparator: { $0 == 32 || $0 == 10 })
        func field(_ number: Int) -> Int64 {
            guard fields.indices.contains(number - 3) else { return 0 }
            let f = fields[number - 3]
            return Int64(f.text) ?? Int64(bitPattern: UInt64(f.text) ?? 0)
        }
        func address(_ number: Int) -> UInt64 { UInt64(bitPattern: field(number)) }
        state = fields.first?.first ?? 0
        parent = pid_t(field(4))
        group = pid_t(field(5))
        session = pid_t(field(6))
        terminal = Int32(field(7))
        foregroundGroup = pid_t(field(8))
        startTicks = address(22)
        layout = [26, 27, 45, 46, 47, 28, 48, 49, 50, 51].map(address)
        exitCode = UInt32(truncatingIfNeeded: field(52))
    }
}

/// A line of /proc/PID/maps, with what only smaps tells where that was read.
public struct MappingEntry: Sendable {
    public var start: UInt64 = 0
    public var end: UInt64 = 0
    public var protection: Int32 = 0
    public var shared = false
    public var offset: UInt64 = 0
    public var device: UInt64 = 0
    public var inode: UInt64 = 0
    public var path = ""
    /// Two-letter VmFlags of smaps, empty when not read.
    public var flags: [String] = []
    /// Protection key (pkeys(7)) of smaps, 0 when not read.
    public var protectionKey: UInt32 = 0

    public var bytes: UInt64 { end - start }
    /// Also of a System V segment, whose "inode" is its id and may be 0.
    public var isFile: Bool { inode != 0 || device != 0 }
    public var isDeleted: Bool { path.hasSuffix(" (deleted)") }

    /// All mappings of `pid`, ascending. With `flags` from smaps, which walks page tables.
    public static func list(_ pid: pid_t, flags: Bool = false) throws(SystemError) -> [MappingEntry] {
        let text = try ProcFS.read("/proc/\(pid)/\(flags ? "smaps" : "maps")")
        var result: [MappingEntry] = []
        result.reserveCapacity(64)
        for line in text.split(separator: 10) {
            guard let first = line.first, ByteScanner.nibble(first) != nil, first < 65 || first > 90
            else {
                if line.starts(with: "VmFlags:") {
                    result[result.count - 1].flags =
                        line.dropFirst(8).split(separator: 32).map(\.text)
                } else if line.starts(with: "ProtectionKey:") {
                    var scanner = ByteScanner(line.dropFirst(14))
                    scanner.skipBlanks()
                    result[result.count - 1].protectionKey = UInt32(scanner.decimal())
                }
                continue
            }
            result.append(MappingEntry(line))
        }
        return result
    }

    init(_ line: ArraySlice<UInt8>) {
        var scanner = ByteScanner(line)
        start = scanner.hex()
        scanner.skip()
        end = scanner.hex()
        scanner.skip()
        let permissions = scanner.word()
        let p = permissions.startIndex
        if permissions[p] == UInt8(ascii: "r") { protection |= PROT_READ }
        if permissions[p + 1] == UInt8(ascii: "w") { protection |= PROT_WRITE }
        if permissions[p + 2] == UInt8(ascii: "x") { protection |= PROT_EXEC }
        shared = permissions[p + 3] == UInt8(ascii: "s")
        scanner.skip()
        offset = scanner.hex()
        scanner.skip()
        let major = scanner.hex()
        scanner.skip()
        device = major << 32 | scanner.hex()
        scanner.skip()
        inode = scanner.decimal()
        scanner.skipBlanks()
        path = scanner.rest.text
    }

    public init() {}
}

/// /proc/PID/fdinfo/FD: position, flags, and the lines that are special to a kind of file.
public struct DescriptorInfo: Sendable {
    public var position: Int64 = 0
    public var flags: Int32 = 0
    public var inode: UInt64 = 0
    /// The remaining lines, split at the colon.
    public var extra: [(key: String, value: String)] = []

    public init(pid: pid_t, descriptor: Int32) throws(SystemError) {
        let bytes = try ProcFS.read("/proc/\(pid)/fdinfo/\(descriptor)")
        for line in bytes.split(separator: 10) {
            guard let colon = line.firstIndex(of: 58) else {
                extra.append((line.text, ""))
                continue
            }
            var scanner = ByteScanner(line[(colon + 1)...])
            scanner.skipBlanks()
            switch line[..<colon].text {
            case "pos": position = scanner.signed()
            case "flags":
                flags = Int32(truncatingIfNeeded: scanner.octal())
            case "ino": inode = scanner.decimal()
            case let key: extra.append((key, scanner.rest.text))
            }
        }
    }

    public func value(_ key: String) -> String? { extra.first { $0.key == key }?.value }
}
