// SPDX-License-Identifier: Apache-2.0
import CLinux
import CheckpointImage
import Glibc
import LinuxSystem
import Tracing

/// Protection keys of one process (pkeys(7)): which it has allocated, which memory has which.
/// A thread's rights to them are in its PKRU register, and so in its XSAVE state.
struct ProtectionKeys {
    /// Key 0 is everybody's; arch/x86/include/asm/pkeys.h.
    private static let keys: ClosedRange<UInt64> = 1...15

    /// Bit n: key n was given out by pkey_alloc(2) and not taken back.
    private let allocated: UInt32
    /// The key that the kernel took for memory mapped with PROT_EXEC alone, of which pkey_alloc(2)
    /// and pkey_mprotect(2) know nothing (arch/x86/mm/pkeys.c, __execute_only_pkey).
    private let executeOnly: UInt32?
    private let areUsed: Bool

    init(_ memory: ImageMemory) {
        allocated = memory.protectionKeys
        areUsed = allocated != 0 || memory.mappings.contains { $0.protectionKey != 0 }
        executeOnly =
            memory.mappings.first {
                Self.isExecuteOnly($0) && $0.protectionKey != 0
                    && memory.protectionKeys & 1 << $0.protectionKey == 0
            }?.protectionKey
    }

    private static func isExecuteOnly(_ mapping: ImageMapping) -> Bool {
        mapping.protection == UInt32(PROT_EXEC)
    }

    /// The keys that a frozen process has allocated. The question changes nothing: the kernel looks
    /// at the key before it finds no memory at that address (mm/mprotect.c, do_mprotect_pkey).
    static func allocated(_ remote: borrowing RemoteSyscalls) throws -> UInt32 {
        let component: UInt64 = 1 << 9  // PKRU's in XCR0
        guard fermata_xcr0() & component != 0 else { return 0 }
        let kernelAddress: UInt64 = 0xffff_8000_0000_0000
        let answers = try remote.invokeAll(
            keys.map { (.pkeyMprotect, [kernelAddress, 4096, UInt64(PROT_NONE), $0]) })
        return zip(keys, answers).reduce(0) { bits, one in
            one.1 == -Int(ENOMEM) ? bits | 1 << UInt32(one.0) : bits
        }
    }

    /// Allocates every key but that for execute-only memory, which the kernel allocates when the
    /// first such memory is mapped, and takes the lowest that is free.
    func claim(_ stub: Stub) throws {
        guard areUsed else { return }
        for key in Self.keys {
            let made = try stub.call(.pkeyAlloc, 0, 0, what: "protection key \(key)")
            guard made == key else { throw RestoreError("protection key \(key) is taken") }
        }
        if let executeOnly { try stub.call(.pkeyFree, UInt64(executeOnly)) }
    }

    /// Memory that has just been mapped gets the key it had.
    func give(_ mapping: ImageMapping, _ stub: Stub) throws {
        let given = Self.isExecuteOnly(mapping) ? executeOnly ?? 0 : 0
        guard mapping.protectionKey != given else { return }
        try stub.call(
            .pkeyMprotect, mapping.start, mapping.bytes, UInt64(mapping.protection),
            UInt64(mapping.protectionKey), what: "protection key \(mapping.protectionKey)")
    }

    /// Frees those that the process did not have.
    func release(_ stub: Stub) throws {
        guard areUsed else { return }
        for key in Self.keys where allocated & 1 << UInt32(key) == 0 && executeOnly != UInt32(key) {
            try stub.call(.pkeyFree, key)
        }
    }
}
