// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
import LinuxSystem
import Testing

/// The scanner, and the parsers of /proc on this very process.
@Suite struct ProcFSTests {
    private func scanner(_ text: String) -> ByteScanner { ByteScanner(Array(text.utf8)[...]) }

    @Test func numbers() {
        var s = scanner("7fff-1a 123 -45 x")
        #expect(s.hex() == 0x7fff)
        s.skip()
        #expect(s.hex() == 0x1a)
        s.skipBlanks()
        #expect(s.decimal() == 123)
        s.skipBlanks()
        #expect(s.signed() == -45)
        s.skipBlanks()
        #expect(s.decimal() == 0, "no digit is no number")
        #expect(s.word().text == "x")
        #expect(s.isAtEnd)
        #expect(s.current == nil)
        #expect(s.rest.isEmpty)
    }

    @Test("The largest numbers do not trap")
    func largest() {
        var hex = scanner("ffffffffffffffff")
        #expect(hex.hex() == .max)
        var decimal = scanner("18446744073709551615")
        #expect(decimal.decimal() == .max)
        var tooLarge = scanner("99999999999999999999999 7")
        _ = tooLarge.decimal()
        tooLarge.skipBlanks()
        #expect(tooLarge.decimal() == 7)
    }

    @Test func emptyText() {
        var s = scanner("")
        #expect(s.isAtEnd)
        #expect(s.hex() == 0)
        #expect(s.word().isEmpty)
        s.skip(3)
        #expect(s.isAtEnd)
        #expect(s.rest.isEmpty)
    }

    @Test func digits() {
        #expect("0123456789abcdef".utf8.map { ByteScanner.digit($0) } == Array(0...15))
        #expect(ByteScanner.digit(UInt8(ascii: "g")) == 0)
    }

    @Test func prefixes() {
        let bytes = Array("VmFlags: rd".utf8)[3...]
        #expect(bytes.starts(with: "lags"))
        #expect(!bytes.starts(with: "VmFlags"))
        #expect(!bytes.starts(with: "lags: rd and more"))
    }

    @Test func ownStatus() throws {
        let status = try ProcessStatus("/proc/self")
        #expect(status.uids == [getuid(), geteuid(), geteuid(), geteuid()])
        #expect(status.gids.first == getgid())
        #expect(status.namespacePids.last == getpid())
        #expect(status.namespaceGroups.last == getpgid(0))
        #expect(status.namespaceSessions.last == getsid(0))
        #expect(status.tracer == 0)
        #expect(status.residentKiB > 100)
        #expect(UInt8(ascii: "A")...UInt8(ascii: "Z") ~= status.state)
        let mask = umask(0o22)
        umask(mask)
        #expect(status.umask == mask)
        #expect(!status.name.isEmpty)
        let text = try ProcFS.text("/proc/self/status")
        #expect(text.contains("Name:\t\(status.name)\n"))
        #expect(status.capabilities.count == 5)
    }

    @Test func ownStatistics() throws {
        let statistics = try ProcessStatistics(pid: getpid())
        #expect(statistics.parent == getppid())
        #expect(statistics.group == getpgid(0))
        #expect(statistics.session == getsid(0))
        #expect(statistics.startTicks > 0)
        #expect(statistics.layout.count == 10)
        #expect(statistics.layout[0] < statistics.layout[1], "start_code before end_code")
    }

    @Test("Own mappings: ascending, with the pages that this test makes", arguments: [false, true])
    func ownMappings(flags: Bool) throws {
        let size = 3 * 4096
        let shared = mmap(nil, size, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0)!
        let closed = mmap(nil, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)!
        defer { munmap(shared, size); munmap(closed, size) }
        let list = try MappingEntry.list(getpid(), flags: flags)
        for (a, b) in zip(list, list.dropFirst()) { #expect(a.end <= b.start) }
        for entry in list {
            #expect(entry.start < entry.end)
            #expect(entry.start % 4096 == 0)
            #expect(entry.flags.isEmpty == !flags || entry.path == "[vsyscall]")
        }
        func entry(_ pointer: UnsafeMutableRawPointer) throws -> MappingEntry {
            let address = UInt64(UInt(bitPattern: pointer))
            return try #require(list.first { $0.start <= address && address < $0.end })
        }
        #expect(try entry(shared).shared)
        #expect(try entry(shared).protection == PROT_READ)
        #expect(try entry(shared).isDeleted, "/dev/zero (deleted)")
        #expect(try !entry(closed).shared)
        #expect(try entry(closed).protection == PROT_NONE)
        #expect(try !entry(closed).isFile)
        if flags {
            #expect(try entry(shared).flags.contains("sh"))
            #expect(try entry(closed).flags.contains("nr"))
        }
        let own = try #require(ProcFS.link("/proc/self/exe"))
        let code = try #require(list.first { $0.path == own && $0.protection & PROT_EXEC != 0 })
        #expect(code.isFile)
        #expect(code.device != 0)
    }

    @Test func ownDescriptor() throws {
        let (read, write) = try Descriptor.pipe(flags: O_NONBLOCK)
        let info = try DescriptorInfo(pid: getpid(), descriptor: read.number)
        #expect(info.position == 0)
        #expect(info.flags & O_NONBLOCK != 0)
        #expect(info.flags & O_CLOEXEC != 0)
        #expect(info.value("mnt_id") != nil)
        #expect(try ProcFS.numbers(in: "/proc/self/fd").contains(write.number))
    }

    @Test func whatIsGone() {
        let error = #expect(throws: SystemError.self) { try ProcessStatus("/proc/999999999") }
        #expect(error?.code == ENOENT)
        #expect(ProcFS.link("/proc/self/nothing") == nil)
        #expect(ProcFS.children(of: 999_999_999).isEmpty)
    }
}
