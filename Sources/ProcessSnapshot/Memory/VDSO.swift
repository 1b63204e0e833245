// SPDX-License-Identifier: Apache-2.0
import Glibc
import LinuxSystem

/// The vDSO (vdso(7)): code that the kernel maps into every process, different in every kernel
/// build. A program remembers addresses inside it, so it must be found where it was. On another
/// kernel the old code comes back there with each function turned into a jump to the new
/// kernel's, because the data page that the old code reads is laid out differently.
struct VDSO: Equatable {
    /// The ELF file up to the end of its section headers. What follows is padding, in which
    /// Fermata keeps code (`RecoveryTrampoline`).
    private let content: [UInt8]
    /// All of its pages.
    let bytes: [UInt8]

    /// `bytes`: from its first page on. Throws `RestoreError` when that is no vDSO.
    init(bytes: [UInt8]) throws {
        guard bytes.count >= 64, bytes.starts(with: [0x7f, 0x45, 0x4c, 0x46]) else {
            throw RestoreError("the vDSO in the image is not an ELF file")
        }
        let end =
            Int(value(UInt64.self, from: bytes, at: 40))
            + Int(value(UInt16.self, from: bytes, at: 58)) * Int(value(UInt16.self, from: bytes, at: 60))
        guard end <= bytes.count else { throw RestoreError("the vDSO in the image is cut off") }
        self.bytes = bytes
        content = Array(bytes[..<end])
    }

    /// The running kernel's.
    static func ofThisKernel() throws -> VDSO {
        guard let entry = try MappingEntry.list(getpid()).first(where: { $0.path == "[vdso]" }),
            let pointer = UnsafeRawPointer(bitPattern: UInt(entry.start))
        else { throw RestoreError("this process has no vDSO") }
        return try VDSO(
            bytes: Array(UnsafeRawBufferPointer(start: pointer, count: Int(entry.bytes))))
    }

    static func == (a: VDSO, b: VDSO) -> Bool { a.content == b.content }

    /// Offsets of the exported functions by name (elf(5), SHT_DYNSYM).
    var functions: [String: UInt64] {
        let table = Int(value(UInt64.self, from: bytes, at: 40))
        func section(_ i: Int) -> (type: UInt32, offset: Int, size: Int, link: Int) {
            let at = table + i * 64
            return (
                value(UInt32.self, from: bytes, at: at + 4),
                Int(value(UInt64.self, from: bytes, at: at + 24)),
                Int(value(UInt64.self, from: bytes, at: at + 32)),
                Int(value(UInt32.self, from: bytes, at: at + 40))
            )
        }
        let dynamicSymbols: UInt32 = 11
        let sections = (0..<Int(value(UInt16.self, from: bytes, at: 60))).map(section)
        guard let symbols = sections.first(where: { $0.type == dynamicSymbols }) else { return [:] }
        let strings = sections[symbols.link].offset
        var result: [String: UInt64] = [:]
        for at in stride(from: symbols.offset, to: symbols.offset + symbols.size, by: 24) {
            let kind = bytes[at + 4] & 15
            guard kind == 2, value(UInt16.self, from: bytes, at: at + 6) != 0 else { continue }  // FUNC
            let name = bytes[(strings + Int(value(UInt32.self, from: bytes, at: at)))...]
            result[String(decoding: name.prefix { $0 != 0 }, as: UTF8.self)] =
                value(UInt64.self, from: bytes, at: at + 8)
        }
        return result
    }

    /// System calls that the functions stand for, where the new kernel has no such function.
    private static let systemCalls: [String: UInt32] = [
        "__vdso_gettimeofday": 96, "__vdso_time": 201, "__vdso_clock_gettime": 228,
        "__vdso_clock_getres": 229, "__vdso_getcpu": 309, "__vdso_getrandom": 318,
    ]

    /// This vDSO's pages with every function leading to its namesake in `other`, which is mapped
    /// at `address`, or into the system call.
    func proxies(to other: VDSO, at address: UInt64) -> [UInt8] {
        var result = bytes
        let theirs = other.functions
        for (name, offset) in functions {
            guard let number = Self.systemCalls[name] else { continue }
            let code: [UInt8] =
                if let target = theirs[name] {
                    // movabs r11, target; jmp r11
                    [0x49, 0xbb] + LinuxSystem.bytes(of: address + target) + [0x41, 0xff, 0xe3]
                } else {
                    // mov eax, number; syscall; ret
                    [0xb8] + LinuxSystem.bytes(of: number) + [0x0f, 0x05, 0xc3]
                }
            result.replaceSubrange(Int(offset)..<(Int(offset) + code.count), with: code)
        }
        return result
    }
}
