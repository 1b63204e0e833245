// SPDX-License-Identifier: Apache-2.0
import CLinux
import CheckpointImage
import Glibc
import ImageStore
import LinuxSystem
import Synchronization

/// Serves the memory of restored processes while they run (userfaultfd(2)): faults first, the
/// rest streamed in behind them. What the process does to its memory meanwhile (mremap, munmap,
/// MADV_DONTNEED, fork) arrives as events and is followed.
///
/// One thread. It must run before any restored thread executes anything in the kernel that may
/// touch its memory, else that thread waits for ever.
public final class Pager: @unchecked Sendable {
    /// Addresses to be filled from a page file; what is in no such part reads as zeroes.
    struct Missing {
        var start: UInt64
        var end: UInt64
        /// Byte offset in the page file of `start`.
        var position: UInt64
    }

    /// One address space.
    final class Space {
        let descriptor: Descriptor
        let reader: BlockFileReader
        var missing: [Missing]
        var ranges: [Range<UInt64>]
        var isGone = false

        init(
            descriptor: Descriptor, reader: BlockFileReader, missing: [Missing], ranges: [Range<UInt64>]
        ) {
            self.descriptor = descriptor
            self.reader = reader
            self.missing = missing
            self.ranges = ranges
        }
    }

    private var spaces: [Space]
    private let buffer = AlignedBuffer(bytes: 1 << 20)
    private let failed: @Sendable (any Error) -> Void
    private let finished: @Sendable () -> Void
    private var task: Parallel.Task<Void>?
    private let resident = Atomic<UInt64>(0)
    public let totalBytes: UInt64

    /// `failed`: called on the pager's thread when a page cannot be had; the job must be killed,
    /// its threads wait. `finished`: everything is resident.
    init(
        _ spaces: [Space], finished: @escaping @Sendable () -> Void,
        failed: @escaping @Sendable (any Error) -> Void
    ) {
        self.spaces = spaces
        self.finished = finished
        self.failed = failed
        totalBytes = spaces.reduce(0) { $0 + $1.missing.reduce(0) { $0 + $1.end - $1.start } }
    }

    public var residentBytes: UInt64 { resident.load(ordering: .relaxed) }
    public var isFinished: Bool { task?.isFinished ?? true }

    func start() {
        task = Parallel.Task { [self] in
            do { try run() } catch { failed(error) }
            finished()
        }
    }

    public func wait() { _ = try? task?.join() }

    var descriptors: [Int32] { spaces.map(\.descriptor.number) }

    // MARK: the loop

    private func run() throws {
        while true {
            for space in spaces { try serve(space) }
            spaces.removeAll { $0.isGone }
            guard let space = spaces.first(where: { !$0.missing.isEmpty }) else { break }
            try fill(space)
        }
        // Nothing is missing any more; unregistering wakes whoever waits on a page of zeroes.
        for space in spaces {
            try serve(space)
            for range in space.ranges {
                _ = fermata_uffd_unregister(
                    space.descriptor.number, range.lowerBound, range.upperBound - range.lowerBound)
            }
        }
        // An event raised between the last look and the unregistering waits to be read; closing
        // the last copy of the descriptor (the pod drops its own when told) lets it go.
        spaces = []
    }

    /// Copies the next part of a space in, up to 1 MiB, in whole checksummed blocks.
    private func fill(_ space: Space) throws {
        let part = space.missing[0]
        let count = min(part.end - part.start, UInt64(buffer.count / 2))
        try copy(space, index: 0, from: part.start, count: count)
    }

    /// Fills `count` bytes at `address`, all within missing part `index`.
    private func copy(_ space: Space, index: Int, from address: UInt64, count: UInt64) throws {
        let part = space.missing[index]
        let block = UInt64(Format.blockBytes)
        let position = part.position + (address - part.start)
        let from = position / block * block
        let until = min((position + count + block - 1) / block * block, space.reader.size)
        let bytes = buffer.prefix(Int(until - from))
        try space.reader.read(at: from, into: bytes)
        let source = UnsafeRawPointer(bytes.baseAddress!) + Int(position - from)
        var done: UInt64 = 0
        var step = count
        while done < count {
            let n = fermata_uffd_copy(
                space.descriptor.number, address + done, source + Int(done), min(step, count - done))
            if n > 0 {
                done += UInt64(n)
                continue
            }
            switch n {
            case -Int(EEXIST): done += UInt64(Format.pageBytes)  // somebody was faster: leave it
            case -Int(EAGAIN):  // the mapping is changing: its event comes first
                take(space, address, done)
                resident.add(done, ordering: .relaxed)
                return try serve(space)
            case -Int(ENOENT), -Int(EFAULT), -Int(EINVAL):
                // The kernel fills one mapping at a time (mm/userfaultfd.c, validate_dst_vma), and
                // mprotect(2) or madvise(2) may have split it without an event: page by page then.
                // A page that cannot be had alone is unmapped.
                if step > UInt64(Format.pageBytes) {
                    step = UInt64(Format.pageBytes)
                } else {
                    done += step
                }
            case -Int(ESRCH):  // the whole address space is gone: exit or exec
                space.isGone = true
                space.missing = []
                return
            default:
                throw SystemError(code: Int32(-n), operation: "bring a page in")
            }
        }
        take(space, address, count)
        resident.add(count, ordering: .relaxed)
    }

    /// Removes `count` bytes at `address` from what is missing.
    private func take(_ space: Space, _ address: UInt64, _ count: UInt64) {
        guard count > 0 else { return }
        let end = address + count
        var result: [Missing] = []
        result.reserveCapacity(space.missing.count + 1)
        for part in space.missing {
            if part.end <= address || part.start >= end {
                result.append(part)
                continue
            }
            if part.start < address {
                result.append(Missing(start: part.start, end: address, position: part.position))
            }
            if part.end > end {
                result.append(
                    Missing(start: end, end: part.end, position: part.position + (end - part.start)))
            }
        }
        space.missing = result
    }

    // MARK: events

    /// Handles all events that wait.
    private func serve(_ space: Space) throws {
        var message = fermata_uffd_message()
        while !space.isGone {
            let n = fermata_uffd_read(space.descriptor.number, &message)
            if n == 0 { return }
            if n < 0 { space.isGone = true; space.missing = []; return }
            switch message.event {
            case UInt32(FERMATA_UFFD_EVENT_PAGEFAULT): try fault(space, message.a)
            case UInt32(FERMATA_UFFD_EVENT_FORK):
                follow(space, Int32(bitPattern: message.fork_descriptor))
            case UInt32(FERMATA_UFFD_EVENT_REMAP):
                move(space, from: message.a, to: message.b, count: message.c)
            default: take(space, message.a, message.b - message.a)  // removed or unmapped
            }
        }
    }

    private func fault(_ space: Space, _ address: UInt64) throws {
        let page = address & ~UInt64(Format.pageBytes - 1)
        if let index = space.missing.firstIndex(where: { $0.start <= page && page < $0.end }) {
            // A few pages around it: neighbours are usually next.
            let part = space.missing[index]
            let count = min(part.end - page, 16 * UInt64(Format.pageBytes))
            return try copy(space, index: index, from: page, count: count)
        }
        let n = fermata_uffd_zero(space.descriptor.number, page, UInt64(Format.pageBytes))
        if n < 0 { _ = fermata_uffd_wake(space.descriptor.number, page, UInt64(Format.pageBytes)) }
    }

    /// The process forked: the child's memory lacks the same pages.
    private func follow(_ space: Space, _ descriptor: Int32) {
        _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
        spaces.append(
            Space(
                descriptor: Descriptor(owning: descriptor), reader: space.reader, missing: space.missing,
                ranges: space.ranges))
    }

    private func move(_ space: Space, from: UInt64, to: UInt64, count: UInt64) {
        var moved: [Missing] = []
        for part in space.missing {
            let start = max(part.start, from)
            let end = min(part.end, from + count)
            guard start < end else { continue }
            moved.append(
                Missing(
                    start: start - from + to, end: end - from + to,
                    position: part.position + (start - part.start)))
        }
        take(space, from, count)
        space.missing = (space.missing + moved).sorted { $0.start < $1.start }
        space.ranges.append(to..<(to + count))
    }
}
