// SPDX-License-Identifier: Apache-2.0
import CVerbs

/// The receiving end of a TCP connection from a process of another node. Under the engine lock.
final class IncomingLink {
    let descriptor: Int32
    /// In Links' table.
    let index: Int
    private let engine: Engine
    private let hello: fabric_hello
    /// nil until it has proved that it belongs to the job.
    private(set) var source: (slot: UInt32, life: UInt64)?
    /// When it was accepted.
    let since = fabric_now()
    private let buffer: UnsafeMutableRawPointer
    private var count = 0
    private var isClosed = false

    /// A record whose payload goes on to where it belongs, and how much of it has come.
    private var stream: (record: fabric_record, arrived: Int)?

    private static let room = 64 << 10
    /// Of a record that is copied out of the buffer; the payload of a larger one is received where it
    /// belongs.
    private static let largestInBuffer = 16 << 10

    /// nil when the hello cannot be sent.
    init?(_ engine: Engine, _ descriptor: Int32, index: Int) {
        self.engine = engine
        (self.descriptor, self.index) = (descriptor, index)
        var hello = fabric_hello()
        hello.magic = UInt64(FABRIC_LINK_MAGIC)
        let isRandom = getrandom(&hello.nonce, 16, 0) == 16
        let size = MemoryLayout<fabric_hello>.size
        let sent = withUnsafeMutableBytes(of: &hello) { bytes in
            var list = iovec(iov_base: bytes.baseAddress!, iov_len: size)
            return fabric_send(descriptor, &list, 1)
        }
        self.hello = hello
        buffer = .allocate(byteCount: Self.room, alignment: 8)
        guard isRandom, sent == size else { return nil }
    }

    deinit { buffer.deallocate() }

    /// Its number may be another file's afterwards.
    func end() {
        guard !isClosed else { return }
        isClosed = true
        engine.links?.close(descriptor)
    }

    /// Takes in what has arrived. False: the connection has ended, or makes no sense.
    func take() -> Bool {
        for _ in 0..<8 {
            let (n, wanted) = stream == nil ? fill() : fillStream()
            if n == -Int(EAGAIN) { return true }
            guard n > 0 else { return false }
            guard source != nil || admit() else { return false }
            guard source == nil || stream != nil || handOver() else { return false }
            if n < wanted || isClosed { return true }
        }
        return true
    }

    /// Bytes received, or -errno; and how many there was room for.
    private func fill() -> (Int, Int) {
        var list = iovec(iov_base: buffer + count, iov_len: Self.room - count)
        let wanted = list.iov_len
        let n = fabric_receive(descriptor, &list, 1)
        count += max(0, n)
        return (n, wanted)
    }

    /// The same for the payload of a large record, and what may follow it. The buffer is empty.
    private func fillStream() -> (Int, Int) {
        guard let (record, arrived) = stream, let source, let links = engine.links else { return (0, 0) }
        let queuePair = engine.receiver(of: record)
        let left = Int(record.bytes) - Writer.headerBytes - arrived
        let message = min(left, Int(record.length - record.operands.0) - arrived)
        let list = links.list
        var used = 0
        let target = queuePair?.destination(of: record, after: arrived, from: source.slot)
        if let target, target.pieces.count <= OutgoingLink.mostPieces {
            used = target.pieces.describe(list, from: target.offset, count: message)
        }
        target?.pieces.free()
        // What nobody wants any more, or the padding behind it, goes into the buffer and is dropped.
        let direct = used > 0 ? message : 0
        list[used] = iovec(iov_base: buffer, iov_len: used > 0 ? Self.room : min(left, Self.room))
        let wanted = direct + list[used].iov_len
        let n = fabric_receive(descriptor, list, UInt(used + 1))
        if n == -Int(EFAULT) {  // nothing was received: what is left of it will be dropped
            queuePair?.unmapped(record)
            return isClosed ? (0, wanted) : fillStream()
        }
        guard n > 0 else { return (n, wanted) }
        let ofRecord = min(n, left)
        stream = ofRecord == left ? nil : (record, arrived + ofRecord)
        count = n - min(n, direct)
        if n > direct { drop(min(count, left - direct)) }
        if direct > 0 { queuePair?.received(record, after: arrived, count: min(n, direct)) }
        return (n, wanted)
    }

    /// False: it is none of the job's. True also while the claim is not complete.
    private func admit() -> Bool {
        let size = MemoryLayout<fabric_claim>.size
        guard count >= size else { return true }
        let claim = buffer.load(as: fabric_claim.self)
        guard claim.magic == UInt64(FABRIC_LINK_MAGIC), claim.slot < UInt64(FABRIC_SLOTS),
            claim.proof == engine.segment.proof(1, hello.nonce, claim.nonce, claim)
        else { return false }
        var welcome = fabric_welcome(proof: engine.segment.proof(2, hello.nonce, claim.nonce, claim))
        let sent = withUnsafeMutableBytes(of: &welcome) { bytes in
            var list = iovec(iov_base: bytes.baseAddress!, iov_len: bytes.count)
            return fabric_send(descriptor, &list, 1)
        }
        guard sent == MemoryLayout<fabric_welcome>.size else { return false }
        source = (UInt32(claim.slot), claim.life)
        drop(size)
        return true
    }

    private func drop(_ bytes: Int) {
        memmove(buffer, buffer + bytes, count - bytes)
        count -= bytes
    }

    /// Every record that is complete. False: one that cannot be, after which nothing is trusted.
    private func handOver() -> Bool {
        guard let source else { return false }
        var at = 0
        while count - at >= Writer.headerBytes {
            let record = (buffer + at).load(as: fabric_record.self)
            let bytes = Int(record.bytes)
            guard bytes & 7 == 0, bytes >= Writer.headerBytes,
                bytes <= Writer.headerBytes + OutgoingLink.largestPayload
            else { return false }
            guard count - at >= bytes else {
                if bytes > Self.largestInBuffer { at += beginStream(record, buffer + at, count - at) }
                break
            }
            engine.receive(record, buffer + at + Writer.headerBytes, overLinkFrom: source.slot)
            at += bytes
        }
        if at > 0 { drop(at) }
        return true
    }

    /// Hands over what has come of a large record; returns how much that is. Only messages are large, and
    /// not larger than what is left of them.
    private func beginStream(
        _ record: fabric_record, _ place: UnsafeMutableRawPointer, _ available: Int
    ) -> Int {
        guard let source,
            [FABRIC_SEND, FABRIC_WRITE, FABRIC_RESPONSE].contains(fabric_kind(UInt32(record.kind))),
            record.length <= UInt64(Device.longestMessage), record.operands.0 < record.length,
            UInt64(record.bytes) - UInt64(Writer.headerBytes) < record.length - record.operands.0 + 8
        else { return 0 }  // and the connection ends when the buffer is full
        var beginning = record
        beginning.bytes = UInt32(available)
        stream = (record, available - Writer.headerBytes)
        engine.receive(beginning, place + Writer.headerBytes, overLinkFrom: source.slot)
        return available
    }
}

extension Engine {
    fileprivate func receive(
        _ record: fabric_record, _ payload: UnsafeMutableRawPointer, overLinkFrom source: UInt32
    ) {
        if UInt32(record.kind) == FABRIC_CONNECTION.rawValue {
            return receive(record, payload, connectionFrom: source)
        }
        receiver(of: record)?.receive(record, payload, overLinkFrom: source)
    }
}
