// SPDX-License-Identifier: Apache-2.0
import CVerbs

/// A message's bytes in this process's memory: checked against the keys, in order. `free` it.
struct Pieces {
    private let list: UnsafeMutablePointer<iovec>
    private(set) var count = 0
    private(set) var bytes: UInt64 = 0

    private init(capacity: Int) { list = .allocate(capacity: max(1, capacity)) }

    /// Inline data.
    init(_ start: UnsafeMutableRawPointer, _ length: Int) {
        self.init(capacity: 1)
        list[0] = iovec(iov_base: start, iov_len: length)
        (count, bytes) = (1, UInt64(length))
    }

    /// nil when a key does not open what it is used for.
    init?(
        _ engine: Engine, _ domain: ProtectionDomain, _ pieces: UnsafePointer<ibv_sge>, _ given: Int,
        writes: Bool
    ) {
        var capacity = given
        for i in 0..<given { capacity += Int(pieces[i].length) / NullMemory.bytes }
        self.init(capacity: capacity)
        for i in 0..<given where pieces[i].length > 0 {
            guard let region = engine.region(pieces[i].lkey), region.domain === domain,
                !writes || region.access & IBV_ACCESS_LOCAL_WRITE.rawValue != 0,
                let start = region.locate(pieces[i].addr, UInt64(pieces[i].length))
            else {
                list.deallocate()
                return nil
            }
            if region.isNull {
                appendNothing(Int(pieces[i].length), writes: writes)
                continue
            }
            list[count] = iovec(
                iov_base: UnsafeMutableRawPointer(bitPattern: UInt(start)),
                iov_len: Int(pieces[i].length))
            count += 1
            bytes += UInt64(pieces[i].length)
        }
    }

    /// Zeros to read, or a place for what is to be lost: the same few bytes again and again.
    private mutating func appendNothing(_ length: Int, writes: Bool) {
        var left = length
        while left > 0 {
            let n = min(left, NullMemory.bytes)
            list[count] = iovec(iov_base: writes ? NullMemory.sink : NullMemory.zeros, iov_len: n)
            count += 1
            left -= n
        }
        bytes += UInt64(length)
    }

    func free() { list.deallocate() }

    /// All bytes to `place`.
    func copy(to place: UnsafeMutableRawPointer) {
        var to = place
        for i in 0..<count {
            memcpy(to, list[i].iov_base, list[i].iov_len)
            to += list[i].iov_len
        }
    }

    /// `wanted` bytes, from `offset` bytes into the message on.
    func copy(to place: UnsafeMutableRawPointer, from offset: UInt64, count wanted: Int) {
        var to = place
        walk(from: offset, count: wanted) { start, n in
            memcpy(to, start, n)
            to += n
        }
    }

    /// The same as a list for the kernel; returns its length, at most `count`.
    func describe(_ out: UnsafeMutablePointer<iovec>, from offset: UInt64, count wanted: Int) -> Int {
        var used = 0
        walk(from: offset, count: wanted) { start, n in
            out[used] = iovec(iov_base: start, iov_len: n)
            used += 1
        }
        return used
    }

    private func walk(
        from offset: UInt64, count wanted: Int, _ body: (UnsafeMutableRawPointer, Int) -> Void
    ) {
        var (left, skip) = (wanted, Int(offset))
        for i in 0..<count where left > 0 {
            let length = list[i].iov_len
            if skip >= length {
                skip -= length
                continue
            }
            let n = min(left, length - skip)
            body(list[i].iov_base + skip, n)
            (left, skip) = (left - n, 0)
        }
    }

    /// Addresses and lengths, as a record carries them.
    func describe(to place: UnsafeMutableRawPointer) {
        let out = place.assumingMemoryBound(to: fabric_piece.self)
        for i in 0..<count {
            out[i] = fabric_piece(
                address: UInt64(UInt(bitPattern: list[i].iov_base)), length: UInt64(list[i].iov_len))
        }
    }

    /// Bytes from `source`, from `offset` bytes into the message on.
    func fill(from source: UnsafeRawPointer, count wanted: Int, at offset: Int = 0) {
        var from = source
        walk(from: UInt64(offset), count: wanted) { start, n in
            memcpy(start, from, n)
            from += n
        }
    }

    /// How a transfer to or from another process ended.
    enum Outcome {
        case done
        /// Part of what was named is not there, or may not be accessed so.
        case unmapped
        /// The process has ended, or is about to: it has no memory any more.
        case gone
    }

    /// Between these pieces and one range of another process's memory.
    func exchange(with thread: UInt32, at address: UInt64, writes: Bool) -> Outcome {
        var theirs = iovec(
            iov_base: UnsafeMutableRawPointer(bitPattern: UInt(address)), iov_len: Int(bytes))
        return withUnsafeMutablePointer(to: &theirs) {
            Self.transfer(thread, list, count, $0, 1, bytes, writes: writes)
        }
    }

    /// Fetches (or with `writes` stores) `length` bytes of another process's pieces.
    func exchange(
        with thread: UInt32, _ theirs: UnsafePointer<fabric_piece>, _ count: Int, length: UInt64,
        writes: Bool
    ) -> Outcome {
        let list = UnsafeMutablePointer<iovec>.allocate(capacity: max(1, count))
        defer { list.deallocate() }
        for i in 0..<count {
            list[i] = iovec(
                iov_base: UnsafeMutableRawPointer(bitPattern: UInt(theirs[i].address)),
                iov_len: Int(truncatingIfNeeded: theirs[i].length))  // the kernel refuses what is negative
        }
        return Self.transfer(thread, self.list, self.count, list, count, length, writes: writes)
    }

    /// process_vm_readv(2), again until everything is there: it stops at limits of its own, and a
    /// checkpoint may come in the middle.
    private static func transfer(
        _ thread: UInt32, _ own: UnsafeMutablePointer<iovec>, _ owns: Int,
        _ theirs: UnsafeMutablePointer<iovec>,
        _ count: Int, _ length: UInt64, writes: Bool
    ) -> Outcome {
        var (i, k) = (0, 0)
        var left = length
        while left > 0 {
            guard i < owns, k < count else { return .unmapped }
            let (mine, others) = (UInt(min(owns - i, 1024)), UInt(min(count - k, 1024)))
            let n =
                writes
                ? fabric_write_memory(thread, own + i, mine, theirs + k, others)
                : fabric_read_memory(thread, own + i, mine, theirs + k, others)
            if n == -Int(EINTR) { continue }
            guard n > 0 else { return n == -Int(ESRCH) ? .gone : .unmapped }
            left -= min(left, UInt64(n))
            advance(own, &i, n)
            advance(theirs, &k, n)
        }
        return .done
    }

    private static func advance(_ list: UnsafeMutablePointer<iovec>, _ index: inout Int, _ bytes: Int) {
        var left = bytes
        while left > 0 {
            let n = min(left, list[index].iov_len)
            list[index].iov_base += n
            list[index].iov_len -= n
            left -= n
            if list[index].iov_len == 0 { index += 1 }
        }
    }
}
