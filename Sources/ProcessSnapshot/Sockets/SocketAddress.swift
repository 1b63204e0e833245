// SPDX-License-Identifier: Apache-2.0
import Glibc
import LinuxSystem

/// struct sockaddr as bytes, and the calls that take one.
enum SocketAddress {
    static func local(_ handle: Descriptor) -> [UInt8]? { get(handle, getsockname) }
    static func remote(_ handle: Descriptor) -> [UInt8]? { get(handle, getpeername) }

    private static func get(
        _ handle: Descriptor,
        _ function: (Int32, UnsafeMutablePointer<sockaddr>?, UnsafeMutablePointer<socklen_t>?) -> Int32
    ) -> [UInt8]? {
        var storage = [UInt8](repeating: 0, count: 128)
        var length = socklen_t(128)
        let result = storage.withUnsafeMutableBytes {
            function(handle.number, $0.baseAddress!.assumingMemoryBound(to: sockaddr.self), &length)
        }
        return result == 0 ? Array(storage[0..<Int(length)]) : nil
    }

    static func with<R>(
        _ bytes: [UInt8], _ body: (UnsafePointer<sockaddr>, socklen_t) -> R
    ) -> R {
        bytes.withUnsafeBytes {
            body($0.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t(bytes.count))
        }
    }

    static func bind(_ handle: Descriptor, _ address: [UInt8]) throws(SystemError) {
        let result = with(address) { Glibc.bind(handle.number, $0, $1) }
        try Kernel.libc(Int(result), "bind to \(text(address))")
    }

    /// A port that another program holds may be free again in a moment: outgoing connections get
    /// theirs from the same range as listeners that do not ask for a certain one (ip(7)).
    static func bindPatiently(_ handle: Descriptor, _ address: [UInt8]) throws(SystemError) {
        let limit = Clock.monotonic() + 3_000_000_000
        while true {
            do { return try bind(handle, address) } catch {
                guard error.code == EADDRINUSE, Clock.monotonic() < limit else { throw error }
            }
            Clock.sleep(microseconds: 50_000)
        }
    }

    static func connect(_ handle: Descriptor, _ address: [UInt8]) throws(SystemError) {
        let result = with(address) { Glibc.connect(handle.number, $0, $1) }
        try Kernel.libc(Int(result), "connect to \(text(address))")
    }

    static func port(_ address: [UInt8]) -> UInt16 {
        address.count >= 4 ? UInt16(address[2]) << 8 | UInt16(address[3]) : 0
    }

    /// For people.
    static func text(_ address: [UInt8]) -> String {
        var name = [CChar](repeating: 0, count: 64)
        switch Int32(address.first ?? 0) {
        case AF_INET where address.count >= 8:
            address.withUnsafeBytes { _ = inet_ntop(AF_INET, $0.baseAddress! + 4, &name, 64) }
            return string(name) + ":\(port(address))"
        case AF_INET6 where address.count >= 24:
            address.withUnsafeBytes { _ = inet_ntop(AF_INET6, $0.baseAddress! + 8, &name, 64) }
            return "[" + string(name) + "]:\(port(address))"
        case AF_UNIX:
            return String(decoding: address.dropFirst(2).map { $0 == 0 ? 64 : $0 }, as: UTF8.self)
        default: return "?"
        }
    }

    private static func string(_ name: [CChar]) -> String {
        String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// The same endpoint written as the other family would: ::ffff:a.b.c.d is a.b.c.d.
    static func normalized(_ address: [UInt8]) -> [UInt8] {
        guard Int32(address.first ?? 0) == AF_INET6, address.count >= 24 else {
            return Array(address.prefix(8))
        }
        let ip = Array(address[8..<24])
        if Array(ip[0..<12]) == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff] {
            return [UInt8(AF_INET), 0] + address[2..<4] + ip[12..<16]
        }
        return [UInt8(AF_INET6), 0] + address[2..<4] + ip
    }

    static func isAny(_ a: [UInt8]) -> Bool {
        a.first == UInt8(AF_INET) ? a[4..<8].allSatisfy { $0 == 0 } : a[8..<24].allSatisfy { $0 == 0 }
    }

    /// Whether a socket of this network namespace could have the address: bind(2) tells.
    static func isOfThisHost(_ address: [UInt8]) -> Bool {
        let probe = Descriptor(owning: socket(Int32(address.first ?? 0), 2 | 0o2000000, 0))
        var full = address + [UInt8](repeating: 0, count: max(0, 28 - address.count))
        full.replaceSubrange(2..<4, with: [0, 0])  // any port, of UDP
        return (try? bind(probe, full)) != nil
    }

    static func setLoopback(_ a: inout [UInt8]) {
        if a.first == UInt8(AF_INET) {
            a.replaceSubrange(4..<8, with: [127, 0, 0, 1])
        } else {
            a[23] = 1
        }
    }
}
