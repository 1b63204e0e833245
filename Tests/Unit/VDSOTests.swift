// SPDX-License-Identifier: Apache-2.0
import Glibc
import LinuxSystem
import Testing

@testable import ProcessSnapshot

/// Another kernel's vDSO is made from this one's: the same functions, told apart by what they do.
@Suite struct VDSOTests {
    private typealias GetTime = @convention(c) (Int32, UnsafeMutablePointer<timespec>) -> Int32

    /// Runs the code of `pages` at a place of its own.
    private func time(through pages: [UInt8], at offset: UInt64) throws -> timespec {
        let memory = try #require(
            mmap(
                nil, pages.count, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                0))
        defer { munmap(memory, pages.count) }
        pages.withUnsafeBytes { memory.copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
        let function = unsafeBitCast(memory + Int(offset), to: GetTime.self)
        var result = timespec()
        #expect(function(CLOCK_MONOTONIC, &result) == 0)
        return result
    }

    private func nanoseconds(_ t: timespec) -> Int64 { Int64(t.tv_sec) * 1_000_000_000 + Int64(t.tv_nsec) }

    @Test func functionsLeadToTheNewKernels() throws {
        let own = try VDSO.ofThisKernel()
        let offset = try #require(own.functions["__vdso_clock_gettime"])
        let entry = try #require(try MappingEntry.list(getpid()).first { $0.path == "[vdso]" })
        let code = own.proxies(to: own, at: entry.start)
        let before = Clock.monotonic()
        let now = nanoseconds(try time(through: code, at: offset))
        #expect(before <= now && now <= Clock.monotonic())
    }

    @Test func functionsThatTheNewKernelLacksBecomeSystemCalls() throws {
        let own = try VDSO.ofThisKernel()
        let offset = try #require(own.functions["__vdso_clock_gettime"])
        var stripped = own.bytes
        // No section headers: no functions.
        stripped.replaceSubrange(60..<62, with: [0, 0])
        let none = try VDSO(bytes: stripped)
        #expect(none.functions.isEmpty && none != own)
        let before = Clock.monotonic()
        let now = nanoseconds(try time(through: own.proxies(to: none, at: 0), at: offset))
        #expect(before <= now && now <= Clock.monotonic())
    }

    @Test func paddingDoesNotCount() throws {
        let own = try VDSO.ofThisKernel()
        var other = own.bytes
        other[other.count - 1] ^= 0xff
        #expect(try VDSO(bytes: other) == own)
        other[200] ^= 0xff
        #expect(try VDSO(bytes: other) != own)
        #expect(throws: RestoreError.self) { try VDSO(bytes: Array(own.bytes.prefix(4096))) }
        #expect(throws: RestoreError.self) { try VDSO(bytes: [UInt8](repeating: 0, count: 8192)) }
    }
}
