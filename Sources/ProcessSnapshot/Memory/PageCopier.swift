// SPDX-License-Identifier: Apache-2.0
import CLinux
import CheckpointImage
import Glibc
import ImageStore
import LinuxSystem
import Synchronization
import Tracing

/// Where the pages of a capture went.
public struct PageCounts: Sendable {
    public var stored: UInt64 = 0
    public var zero: UInt64 = 0
    public var file: UInt64 = 0

    public static func + (a: PageCounts, b: PageCounts) -> PageCounts {
        PageCounts(stored: a.stored + b.stored, zero: a.zero + b.zero, file: a.file + b.file)
    }
}

/// Copies pages of a frozen process (or of its frozen copy) into a block file: runs found with
/// PAGEMAP_SCAN are read in chunks of 1 MiB by several threads, checked for zeroes, checksummed
/// and written.
struct PageCopier {
    let pid: pid_t
    let memory: RemoteMemory

    static let chunkPages = 256

    /// A run of candidate pages: where in memory, for which mapping, and its place in the file.
    private struct Run {
        let mapping: Int
        let address: UInt64
        let pages: UInt64
        let position: UInt64
    }

    /// Ranges that hold private data: anonymous, present or swapped, not the shared zero page.
    static func privateRuns(
        _ pagemap: Descriptor, _ start: UInt64, _ end: UInt64
    ) throws -> [Range<UInt64>] {
        var result: [Range<UInt64>] = []
        var regions = [fermata_page_region](repeating: fermata_page_region(), count: 1024)
        var position = start
        while position < end {
            var argument = fermata_pm_scan_arg()
            argument.start = position
            argument.end = end
            argument.vec_len = UInt64(regions.count)
            let excluded = UInt64(FERMATA_PAGE_IS_FILE | FERMATA_PAGE_IS_PFNZERO)
            argument.category_mask = excluded
            argument.category_inverted = excluded
            argument.category_anyof_mask =
                UInt64(FERMATA_PAGE_IS_PRESENT | FERMATA_PAGE_IS_SWAPPED)
            argument.return_mask = argument.category_anyof_mask
            let found = regions.withUnsafeMutableBufferPointer { buffer in
                argument.vec = UInt64(UInt(bitPattern: buffer.baseAddress))
                return fermata_pagemap_scan(pagemap.number, &argument)
            }
            try Kernel.check(found, "PAGEMAP_SCAN")
            for region in regions[0..<found] {
                if let last = result.last, last.upperBound == region.start {
                    result[result.count - 1] = last.lowerBound..<region.end
                } else {
                    result.append(region.start..<region.end)
                }
            }
            guard argument.walk_end > position else { break }
            position = argument.walk_end
        }
        return result
    }

    /// Fills `extents` of every private mapping of `memory` and writes its pages to `file`.
    /// `substitutes`: page contents read earlier, for mappings that the copy does not have.
    func copy(
        _ image: inout ImageMemory, files: [ImageBackingFile], to file: BlockFileWriter,
        substitutes: [UInt64: [Range<UInt64>]] = [:], substituteMemory: HeldPages = HeldPages(),
        progress: ProgressCounter, workers: Int = 2
    ) throws -> PageCounts {
        let runs = try plan(image, substitutes)
        let total = runs.last.map { $0.position + $0.pages } ?? 0
        try file.reserve(bytes: total * UInt64(Format.pageBytes))
        guard total > 0 else { return PageCounts() }
        let chunks = Int((total + UInt64(Self.chunkPages) - 1) / UInt64(Self.chunkPages))
        let results = Mutex<[[(mapping: Int, page: UInt64, count: UInt64, position: UInt64)]]>(
            Array(repeating: [], count: chunks))
        let counts = Mutex(PageCounts())
        let mappings = image.mappings
        try Parallel.forEach(chunks, workers: min(workers, chunks)) {
            let buffer = AlignedBuffer(bytes: Self.chunkPages * Format.pageBytes)
            let compare = FileComparer(files: files, mappings: mappings)
            return { chunk in
                let (extents, count) = try self.copyChunk(
                    chunk, runs, total, buffer, mappings, compare, file, substituteMemory)
                results.withLock { $0[chunk] = extents }
                counts.withLock { $0 = $0 + count }
                progress.add((count.stored + count.zero + count.file) * UInt64(Format.pageBytes))
            }
        }
        var extents = Array(repeating: [Extent](), count: mappings.count)
        for chunk in results.withLock({ $0 }) {
            for e in chunk {
                if let last = extents[e.mapping].last, last.first + last.count == e.page,
                    last.position + last.count == e.position
                {
                    extents[e.mapping][extents[e.mapping].count - 1].count += e.count
                } else {
                    extents[e.mapping].append(
                        Extent(first: e.page, count: e.count, position: e.position))
                }
            }
        }
        for i in extents.indices { image.mappings[i].extents = Extent.encode(extents[i]) }
        return counts.withLock { $0 }
    }

    private func plan(
        _ image: ImageMemory, _ substitutes: [UInt64: [Range<UInt64>]]
    ) throws -> [Run] {
        let pagemap = try Descriptor.open("/proc/\(pid)/pagemap", O_RDONLY)
        var runs: [Run] = []
        var position: UInt64 = 0
        for (i, mapping) in image.mappings.enumerated() where !mapping.shared {
            let found =
                try substitutes[mapping.start]
                ?? Self.privateRuns(pagemap, mapping.start, mapping.start + mapping.bytes)
            for range in found {
                let pages = (range.upperBound - range.lowerBound) / UInt64(Format.pageBytes)
                runs.append(Run(mapping: i, address: range.lowerBound, pages: pages, position: position))
                position += pages
            }
        }
        return runs
    }

    private typealias PlacedExtent = (mapping: Int, page: UInt64, count: UInt64, position: UInt64)

    private func copyChunk(
        _ chunk: Int, _ runs: [Run], _ total: UInt64, _ buffer: AlignedBuffer,
        _ mappings: [ImageMapping], _ compare: FileComparer, _ file: BlockFileWriter,
        _ held: HeldPages
    ) throws -> ([PlacedExtent], PageCounts) {
        let first = UInt64(chunk * Self.chunkPages)
        let pages = min(UInt64(Self.chunkPages), total - first)
        let bytes = buffer.prefix(Int(pages) * Format.pageBytes)
        let parts = Self.parts(of: runs, from: first, count: pages)
        try read(parts, first: first, into: bytes, held)
        var extents: [PlacedExtent] = []
        var counts = PageCounts()
        var written: [Range<Int>] = []
        for part in parts {
            let mapping = mappings[part.mapping]
            for k in 0..<part.pages {
                let offset = Int(part.position + k - first) * Format.pageBytes
                let page = UnsafeRawBufferPointer(rebasing: bytes[offset..<(offset + Format.pageBytes)])
                let number = (part.address - mapping.start) / UInt64(Format.pageBytes) + k
                let isFile = mapping.backing == .file
                if !isFile && fermata_is_zero(page.baseAddress, Format.pageBytes) != 0 {
                    counts.zero += 1
                    continue
                }
                if isFile && compare.equals(page, part.mapping, page: number) {
                    counts.file += 1
                    memset(UnsafeMutableRawPointer(mutating: page.baseAddress!), 0, Format.pageBytes)
                    continue
                }
                counts.stored += 1
                if let last = written.last, last.upperBound == offset {
                    written[written.count - 1] = last.lowerBound..<(offset + Format.pageBytes)
                } else {
                    written.append(offset..<(offset + Format.pageBytes))
                }
                if let last = extents.last, last.mapping == part.mapping,
                    last.page + last.count == number
                {
                    extents[extents.count - 1].count += 1
                } else {
                    extents.append((part.mapping, number, 1, part.position + k))
                }
            }
        }
        try file.write(
            UnsafeRawBufferPointer(bytes), at: first * UInt64(Format.pageBytes), runs: written)
        return (extents, counts)
    }

    /// The pieces of `runs` that fall into file pages `from..<from+count`.
    private static func parts(of runs: [Run], from first: UInt64, count: UInt64) -> [Run] {
        var low = 0
        var high = runs.count
        while low < high {
            let middle = (low + high) / 2
            if runs[middle].position + runs[middle].pages <= first {
                low = middle + 1
            } else {
                high = middle
            }
        }
        var result: [Run] = []
        while low < runs.count, runs[low].position < first + count {
            let run = runs[low]
            let start = max(run.position, first)
            let end = min(run.position + run.pages, first + count)
            result.append(
                Run(
                    mapping: run.mapping,
                    address: run.address + (start - run.position) * UInt64(Format.pageBytes),
                    pages: end - start, position: start))
            low += 1
        }
        return result
    }

    private func read(
        _ parts: [Run], first: UInt64, into bytes: UnsafeMutableRawBufferPointer, _ held: HeldPages
    ) throws {
        var remote: [iovec] = []
        var expected = 0
        for part in parts {
            let offset = Int(part.position - first) * Format.pageBytes
            let count = Int(part.pages) * Format.pageBytes
            let target = UnsafeMutableRawBufferPointer(rebasing: bytes[offset..<(offset + count)])
            if held.copy(part.address, into: target) { continue }
            if held.isEmpty {
                remote.append(
                    iovec(
                        iov_base: UnsafeMutableRawPointer(bitPattern: UInt(part.address)), iov_len: count
                    ))
                expected += count
            } else {
                try memory.read(part.address, into: target)
            }
        }
        guard !remote.isEmpty else { return }
        var local = iovec(iov_base: bytes.baseAddress, iov_len: expected)
        let n = process_vm_readv_raw(pid, &local, &remote)
        if n == expected { return }
        // Pages that the process itself may not read (PROT_NONE): through /proc/PID/mem.
        for part in parts {
            let offset = Int(part.position - first) * Format.pageBytes
            let count = Int(part.pages) * Format.pageBytes
            try memory.read(
                part.address,
                into: UnsafeMutableRawBufferPointer(rebasing: bytes[offset..<(offset + count)]))
        }
    }
}

private func process_vm_readv_raw(_ pid: pid_t, _ local: inout iovec, _ remote: inout [iovec]) -> Int {
    guard remote.count <= 1024 else { return -1 }  // IOV_MAX
    return remote.withUnsafeBufferPointer { buffer in
        withUnsafeMutablePointer(to: &local) {
            Kernel.raw(
                .processVMReadv, Int(pid), Int(bitPattern: $0), 1, Int(bitPattern: buffer.baseAddress),
                buffer.count, 0)
        }
    }
}

/// Pages that a forked copy does not have (MADV_DONTFORK, MADV_WIPEONFORK), read in the stop.
final class HeldPages: Sendable {
    private let pages: [UInt64: [UInt8]]

    init(_ pages: [UInt64: [UInt8]] = [:]) { self.pages = pages }

    var isEmpty: Bool { pages.isEmpty }

    /// Fills `target` from the range that contains `address`, if one does.
    func copy(_ address: UInt64, into target: UnsafeMutableRawBufferPointer) -> Bool {
        for (start, content) in pages
        where address >= start && address + UInt64(target.count) <= start + UInt64(content.count) {
            let offset = Int(address - start)
            content.withUnsafeBytes {
                target.copyMemory(
                    from: UnsafeRawBufferPointer(rebasing: $0[offset..<(offset + target.count)]))
            }
            return true
        }
        return false
    }
}

/// Tells whether a private page of a mapped file still equals the file.
private final class FileComparer {
    private let mappings: [ImageMapping]
    private let files: [ImageBackingFile]
    private var open: [UInt32: Descriptor?] = [:]
    private let buffer = AlignedBuffer(bytes: Format.pageBytes)

    init(files: [ImageBackingFile], mappings: [ImageMapping]) {
        self.files = files
        self.mappings = mappings
    }

    func equals(_ page: UnsafeRawBufferPointer, _ mapping: Int, page number: UInt64) -> Bool {
        let m = mappings[mapping]
        if open[m.object] == nil {
            open[m.object] = .some(try? Descriptor.open(files[Int(m.object)].path, O_RDONLY))
        }
        guard let file = open[m.object] ?? nil else { return false }
        let offset = Int64(m.offset) + Int64(number) * Int64(Format.pageBytes)
        guard (try? file.read(into: buffer.prefix(Format.pageBytes), at: offset)) != nil else {
            return false
        }
        return memcmp(page.baseAddress!, buffer.base, Format.pageBytes) == 0
    }
}
