// SPDX-License-Identifier: Apache-2.0
import CVerbs

/// One work request as it was posted; everything the application may change afterwards is copied.
struct SendRequest {
    var id: UInt64 = 0
    var opcode = IBV_WR_SEND
    var isSignaled = false
    var isSolicited = false
    var isFenced = false
    var isInline = false
    var pieces: Int32 = 0
    /// Bytes of the message.
    var length: UInt64 = 0
    /// As the request has it: network byte order, or the key to invalidate.
    var immediate: UInt32 = 0
    var address: UInt64 = 0
    var key: UInt32 = 0
    var compare: UInt64 = 0
    var swap: UInt64 = 0
    /// UD: the receiving queue pair. XRC: the shared receive queue.
    var queuePair: UInt32 = 0
    var queueKey: UInt32 = 0
    var path: AddressHandle?
    var binding: WindowBinding?

    /// Gives up what it refers to.
    mutating func letGo() { (path, binding) = (nil, nil) }
}

/// Send requests of one queue pair, a ring: finished ≤ sent ≤ posted, all counted from the last
/// reset. Under the engine lock.
struct SendQueue {
    let depth: Int
    let piecesEach: Int
    let inlineBytes: Int
    private let requests: UnsafeMutablePointer<SendRequest>
    private let pieces: UnsafeMutablePointer<ibv_sge>
    private let inlineData: UnsafeMutableRawPointer
    var posted: UInt64 = 0
    /// Given to the fabric.
    var sent: UInt64 = 0
    /// Completed, in order.
    var finished: UInt64 = 0

    init(depth: Int, pieces piecesEach: Int, inlineBytes: Int) {
        self.depth = max(1, depth)
        self.piecesEach = max(1, piecesEach)
        self.inlineBytes = inlineBytes
        requests = .allocate(capacity: self.depth)
        requests.initialize(repeating: SendRequest(), count: self.depth)
        pieces = .allocate(capacity: self.depth * self.piecesEach)
        inlineData = .allocate(byteCount: max(8, self.depth * inlineBytes), alignment: 8)
    }

    subscript(number: UInt64) -> UnsafeMutablePointer<SendRequest> {
        requests + Int(number % UInt64(depth))
    }

    func pieces(_ number: UInt64) -> UnsafeMutablePointer<ibv_sge> {
        pieces + Int(number % UInt64(depth)) * piecesEach
    }

    func inlineData(_ number: UInt64) -> UnsafeMutableRawPointer {
        inlineData + Int(number % UInt64(depth)) * inlineBytes
    }

    mutating func clear() {
        for i in 0..<depth { requests[i].letGo() }
        (posted, sent, finished) = (0, 0, 0)
    }

    func free() {
        requests.deinitialize(count: depth)
        requests.deallocate()
        pieces.deallocate()
        inlineData.deallocate()
    }
}
