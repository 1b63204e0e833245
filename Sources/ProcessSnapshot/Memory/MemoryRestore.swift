// SPDX-License-Identifier: Apache-2.0
import CLinux
import CheckpointImage
import Glibc
import ImageStore
import LinuxSystem
import Tracing

/// Rebuilds one address space inside a stub. Every mapping comes back as what it was: anonymous
/// memory as anonymous memory (see docs/internals.md for why the image is never mapped).
struct MemoryRestore {
    let context: RestoreContext
    let process: ImageProcess
    private var memory: ImageMemory { process.memory }

    private static let codePages: UInt64 = 1, dataPages: UInt64 = 5
    private static var trampolineBytes: UInt64 { (codePages + dataPages) * 4096 }
    private static let addressLimit: UInt64 = 0x7fff_ffff_f000
    /// Below this much stored memory a pager costs more than it saves.
    private static let eagerBytes: UInt64 = 8 << 20

    init(_ context: RestoreContext, _ process: ImageProcess) {
        self.context = context
        self.process = process
    }

    /// Moves the stub's calls to a page that is in nobody's way and unmaps everything else.
    func wipe(_ stub: Stub) throws -> Stub {
        let start = try hole(stub.tracee.tid, Self.trampolineBytes)
        let flags = UInt64(MAP_PRIVATE | MAP_ANONYMOUS) | 0x100000  // MAP_FIXED_NOREPLACE
        try stub.call(
            .mmap, start, Self.codePages * 4096, UInt64(PROT_READ | PROT_EXEC), flags, UInt64.max, 0)
        let data = start + Self.codePages * 4096
        try stub.call(
            .mmap, data, Self.dataPages * 4096, UInt64(PROT_READ | PROT_WRITE), flags, UInt64.max, 0)
        try stub.memory.write([0x0f, 0x05, 0xcc, 0x90], at: start)  // syscall; int3
        let rseq = try stub.tracee.rseq()
        if rseq.pointer != 0 {
            try stub.call(
                .rseq, rseq.pointer, UInt64(rseq.size), 1, UInt64(rseq.signature), what: "unregister")
        }
        let moved = try stub.moved(to: start, scratch: data)
        try moved.call(.munmap, 0x10000, start - 0x10000)
        let end = start + Self.trampolineBytes
        try moved.call(.munmap, end, Self.addressLimit - end)
        return moved
    }

    /// The last call: the stub's own page goes.
    func removeTrampoline(_ stub: Stub) throws {
        let start = stub.scratch - Self.codePages * 4096
        let result = try stub.invokeLast(.munmap, [start, Self.trampolineBytes])
        try Kernel.check(result, "unmap the trampoline")
    }

    /// A range of addresses free in the stub as it is and in the process as it will be.
    private func hole(_ pid: pid_t, _ bytes: UInt64) throws -> UInt64 {
        var taken = memory.mappings.map { ($0.start, $0.start + $0.bytes) }
        taken += try MappingEntry.list(pid).map { ($0.start, $0.end) }
        taken.append((memory.vdsoStart, memory.vdsoStart + max(memory.vdsoBytes, 0x10000)))
        var start: UInt64 = 0x100000
        for (low, high) in taken.sorted(by: { $0.0 < $1.0 })
        where low < start + bytes && high > start {
            start = high + 0x10000
        }
        return start
    }

    /// Maps everything. `descriptors`: the stub's number for each file that is mapped.
    func map(_ stub: Stub, descriptors: MappedDescriptors) throws {
        let keys = ProtectionKeys(memory)
        try keys.claim(stub)
        for mapping in memory.mappings {
            try map(mapping, stub, descriptors)
            try keys.give(mapping, stub)
        }
        try keys.release(stub)
    }

    private func map(_ mapping: ImageMapping, _ stub: Stub, _ descriptors: MappedDescriptors) throws {
        let fixed: UInt64 = 0x100000
        var flags = fixed | UInt64(mapping.shared ? MAP_SHARED : MAP_PRIVATE)
        var fd = UInt64.max
        var offset = mapping.offset
        if mapping.backing == .anonymous || mapping.backing == .sharedMemory && !mapping.shared {
            if mapping.backing == .anonymous { flags |= UInt64(MAP_ANONYMOUS); offset = 0 }
            if has(mapping, .growsDown) { flags |= 0x100 }
            if has(mapping, .noReserve) { flags |= 0x4000 }
        }
        if mapping.shared && mapping.backing == .anonymous {
            throw RestoreError("shared anonymous mapping without an object")
        }
        if mapping.backing != .anonymous {
            if mapping.backing == .sharedMemory,
                context.inventory.sharedMemory[Int(mapping.object)].kind == .systemV
            {
                return try attach(mapping, stub)
            }
            fd = UInt64(try descriptors.number(for: mapping))
        }
        try stub.call(
            .mmap, mapping.start, mapping.bytes, UInt64(mapping.protection), flags, fd, offset,
            what: "map 0x\(String(mapping.start, radix: 16))")
    }

    private func attach(_ mapping: ImageMapping, _ stub: Stub) throws {
        let object = context.inventory.sharedMemory[Int(mapping.object)]
        let readOnly: UInt64 = mapping.protection & UInt32(PROT_WRITE) == 0 ? 0o10000 : 0
        try stub.call(.shmat, UInt64(object.systemVID), mapping.start, readOnly, what: "attach segment")
    }

    private func has(_ mapping: ImageMapping, _ flag: MemoryCapture.Flag) -> Bool {
        mapping.flags & flag.rawValue != 0
    }

    /// Sets madvise attributes and locks, after the pages that must be there are there.
    func advise(_ stub: Stub) throws {
        for mapping in memory.mappings {
            for flag in MemoryCapture.Flag.allCases where has(mapping, flag) {
                if let advice = flag.advice {
                    _ = try stub.invoke(.madvise, [mapping.start, mapping.bytes, UInt64(advice)])
                }
            }
            if has(mapping, .locked) {
                let onFault: UInt64 = has(mapping, .lockedOnFault) ? 1 : 0
                _ = try stub.invoke(.mlock2, [mapping.start, mapping.bytes, onFault])
            }
        }
    }

    // MARK: pages

    /// Writes pages now, except those of large anonymous mappings, which are registered with a
    /// userfaultfd instead. Returns the address space for the pager, nil when none is needed.
    func fill(_ stub: Stub) throws -> Pager.Space? {
        let block = context.inventory.blockFiles[Int(memory.pagesFile)]
        let reader = try context.reader.blocks(block)
        let stored = memory.mappings.reduce(0) { $0 + Self.storedBytes($1) }
        let lazily = stored >= Self.eagerBytes
        var later: [ImageMapping] = []
        let buffer = AlignedBuffer(bytes: 1 << 20)
        for mapping in memory.mappings where !mapping.extents.isEmpty {
            if lazily && canWait(mapping) {
                later.append(mapping)
                continue
            }
            try BlockSpread(reader: reader, extents: mapping.extents, size: mapping.bytes)
                .forEachChunk(buffer) { bytes, offset in
                    try stub.memory.write(bytes, at: mapping.start + offset)
                }
        }
        return later.isEmpty ? nil : try register(later, stub, reader)
    }

    static func storedBytes(_ mapping: ImageMapping) -> UInt64 {
        Extent.pages(mapping.extents) * UInt64(Format.pageBytes)
    }

    private func canWait(_ mapping: ImageMapping) -> Bool {
        mapping.backing == .anonymous && !mapping.shared && !has(mapping, .growsDown)
            && !has(mapping, .locked) && Self.storedBytes(mapping) >= 256 << 10
    }

    private func register(
        _ mappings: [ImageMapping], _ stub: Stub, _ reader: BlockFileReader
    ) throws -> Pager.Space {
        let inside = try stub.call(.userfaultfd, UInt64(O_CLOEXEC | O_NONBLOCK), what: "userfaultfd")
        let pidfd = Descriptor(
            owning: Int32(
                try Kernel.call(
                    .pidfdOpen, Int(stub.tracee.tid), what: "pidfd_open")))
        let fd = try Kernel.call(
            .pidfdGetfd, Int(pidfd.number), Int(inside), what: "take the userfaultfd")
        let descriptor = Descriptor(owning: Int32(fd))
        try stub.call(.close, inside)
        try Kernel.check(fermata_uffd_api(descriptor.number, 1), "userfaultfd API")
        var missing: [Pager.Missing] = []
        let page = UInt64(Format.pageBytes)
        for mapping in mappings {
            try Kernel.check(
                fermata_uffd_register_missing(descriptor.number, mapping.start, mapping.bytes),
                "register memory with userfaultfd")
            guard
                let extents = Extent.decode(
                    mapping.extents, objectPages: mapping.bytes / page,
                    filePages: (reader.size + page - 1) / page)
            else { throw ImageError(file: reader.path, reason: "extents in the inventory do not fit") }
            for e in extents {
                let start = mapping.start + e.first * page
                missing.append(
                    .init(start: start, end: start + e.count * page, position: e.position * page))
            }
        }
        return Pager.Space(
            descriptor: descriptor, reader: reader, missing: missing,
            ranges: mappings.map { $0.start..<($0.start + $0.bytes) })
    }

    // MARK: the rest of the address space

    private func mapVDSO(_ stub: Stub) throws {
        let mapVDSO: UInt64 = 0x2003  // ARCH_MAP_VDSO_64
        guard let old = context.foreignVDSO else {
            try stub.call(.archPrctl, mapVDSO, memory.vdsoStart, what: "ARCH_MAP_VDSO_64")
            return
        }
        // The kernel's own vDSO and its data pages, together well below a MiB, go elsewhere.
        let place = try hole(stub.tracee.tid, 1 << 20)
        try stub.call(.archPrctl, mapVDSO, place, what: "ARCH_MAP_VDSO_64")
        guard
            let new = try MappingEntry.list(stub.tracee.tid).first(where: {
                $0.path == "[vdso]" && $0.start >= place && $0.end <= place + 1 << 20
            })
        else { throw RestoreError("the kernel mapped no vDSO") }
        let start = memory.vdsoStart + memory.vdsoBytes - UInt64(old.bytes.count)
        let fixed = UInt64(MAP_PRIVATE | MAP_ANONYMOUS) | 0x100000  // MAP_FIXED_NOREPLACE
        try stub.call(
            .mmap, start, UInt64(old.bytes.count), UInt64(PROT_READ | PROT_EXEC), fixed, UInt64.max, 0,
            what: "map the old vDSO")
        let code = old.proxies(to: try VDSO.ofThisKernel(), at: new.start)
        try stub.memory.write(code, at: start)
    }

    /// vDSO, heap and stack boundaries, auxiliary vector, executable.
    func finish(_ stub: Stub, executable: Int32) throws {
        if memory.vdsoStart != 0 { try mapVDSO(stub) }
        let l = memory.layout
        let vector = try stub.place(Array(memory.auxiliaryVector), at: 2048)
        let map = fermata_mm_map(
            start_code: l[0], end_code: l[1], start_data: l[2], end_data: l[3], start_brk: l[4],
            brk: l[5], start_stack: l[6], arg_start: l[7], arg_end: l[8], env_start: l[9],
            env_end: l[10], auxv: vector, auxv_size: UInt32(memory.auxiliaryVector.count),
            exe_fd: UInt32(executable))
        let address = try stub.place(value: map)
        try stub.call(
            .prctl, 35, 14, address, UInt64(MemoryLayout<fermata_mm_map>.size), 0, what: "PR_SET_MM_MAP")
    }
}

/// Numbers, inside the stub, of the files that its mappings need.
struct MappedDescriptors {
    var backing: [UInt32: Int32] = [:]
    var writableBacking: [UInt32: Int32] = [:]
    var shared: [UInt32: Int32] = [:]
    var saved: [UInt32: Int32] = [:]

    func number(for mapping: ImageMapping) throws -> Int32 {
        let found: Int32? =
            switch mapping.backing {
            case .file: mapping.writableFile ? writableBacking[mapping.object] : backing[mapping.object]
            case .sharedMemory: shared[mapping.object]
            case .openFile: saved[mapping.object]
            default: nil
            }
        guard let found else {
            throw RestoreError("no file for mapping 0x\(String(mapping.start, radix: 16))")
        }
        return found
    }
}
