// SPDX-License-Identifier: Apache-2.0
import CVerbs

/// Requests that an application builds call by call, from ibv_wr_start to ibv_wr_complete. Nothing
/// else sees them before they are complete, so the engine lock is not needed; between threads the
/// handle's `building` lock is held meanwhile.
final class SendBatch {
    private var staged: SendQueue
    private let type: ibv_qp_type
    /// The first thing that went wrong; ibv_wr_complete tells.
    private(set) var code: Int32 = 0

    init(_ type: ibv_qp_type, like queue: SendQueue) {
        self.type = type
        staged = SendQueue(
            depth: queue.depth, pieces: queue.piecesEach, inlineBytes: queue.inlineBytes)
    }

    deinit { staged.free() }

    var count: UInt64 { staged.posted }

    func clear() {
        for number in 0..<staged.posted { staged[number].pointee.letGo() }
        staged.posted = 0
        code = 0
    }

    // MARK: building

    private func refuse(_ number: Int32) {
        if code == 0 { code = number }
    }

    /// Begins a request. The identifier and the flags are those that the handle has right now.
    func begin(
        _ opcode: ibv_wr_opcode, _ qp: UnsafeMutablePointer<ibv_qp_ex>,
        _ fill: (inout SendRequest) -> Void
    ) {
        guard staged.posted < UInt64(staged.depth) else { return refuse(ENOMEM) }
        let flags = qp.pointee.wr_flags
        var request = SendRequest()
        request.id = qp.pointee.wr_id
        request.opcode = opcode
        request.isSignaled = flags & IBV_SEND_SIGNALED.rawValue != 0
        request.isSolicited = flags & IBV_SEND_SOLICITED.rawValue != 0
        request.isFenced = flags & IBV_SEND_FENCE.rawValue != 0
        fill(&request)
        staged[staged.posted].pointee = request
        staged.posted += 1
    }

    /// The request that a wr_set_ call is about; nil, and an error, before any was begun.
    private func latest() -> UInt64? {
        guard code == 0 else { return nil }
        guard staged.posted > 0 else {
            refuse(EINVAL)
            return nil
        }
        return staged.posted - 1
    }

    func address(_ path: AddressHandle, _ queuePair: UInt32, _ queueKey: UInt32) {
        guard let number = latest() else { return }
        staged[number].pointee.path = path
        staged[number].pointee.queuePair = queuePair & 0xffffff
        staged[number].pointee.queueKey = queueKey
    }

    func setSharedQueue(_ queue: UInt32) {
        guard let number = latest() else { return }
        staged[number].pointee.queuePair = queue & 0xffffff
    }

    func setPieces(_ list: UnsafeBufferPointer<ibv_sge>) {
        guard let number = latest() else { return }
        guard list.count <= staged.piecesEach else { return refuse(EINVAL) }
        for (i, piece) in list.enumerated() { staged.pieces(number)[i] = piece }
        staged[number].pointee.pieces = Int32(list.count)
        staged[number].pointee.isInline = false
    }

    func setPiece(_ piece: ibv_sge) {
        guard let number = latest() else { return }
        staged.pieces(number).pointee = piece
        staged[number].pointee.pieces = 1
        staged[number].pointee.isInline = false
    }

    /// Copies, since the application may change its memory as soon as this returns.
    func setInline(_ list: UnsafeBufferPointer<ibv_data_buf>) {
        guard let number = latest() else { return }
        let length = list.reduce(0) { $0 + $1.length }
        guard length <= staged.inlineBytes, !QueuePair.isReading(staged[number].pointee.opcode) else {
            return refuse(EINVAL)
        }
        var to = staged.inlineData(number)
        for piece in list where piece.length > 0 {
            memcpy(to, piece.addr, piece.length)
            to += piece.length
        }
        let start = UInt64(UInt(bitPattern: staged.inlineData(number)))
        staged.pieces(number).pointee = ibv_sge(addr: start, length: UInt32(length), lkey: 0)
        staged[number].pointee.pieces = 1
        staged[number].pointee.isInline = true
    }

    // MARK: posting

    /// Hands every request to `take`, in order, until it says that one is wrong. errno.
    func forEach(_ take: (SendRequest, UnsafeBufferPointer<ibv_sge>) -> Int32) -> Int32 {
        guard code == 0 else { return code }
        for number in 0..<staged.posted {
            let request = staged[number].pointee
            if type == IBV_QPT_UD, request.path == nil { return EINVAL }
            let list = UnsafeBufferPointer(
                start: staged.pieces(number), count: Int(request.pieces))
            let wrong = take(request, list)
            if wrong != 0 { return wrong }
        }
        return 0
    }
}

extension QueuePair {
    /// ibv_wr_complete: all of them or none. errno. Under the engine lock.
    func post(_ batch: SendBatch) -> Int32 {
        let before = sends.posted
        let code = batch.forEach { request, list in
            var request = request
            request.isSignaled = request.isSignaled || signalsAll
            return append(request, list)
        }
        guard code == 0 else {
            sends.posted = before
            return code
        }
        sent()
        return 0
    }
}
