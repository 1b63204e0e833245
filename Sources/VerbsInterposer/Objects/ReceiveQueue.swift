// SPDX-License-Identifier: Apache-2.0
import CVerbs

/// Posted receive requests, oldest first: of one queue pair or shared (ibv_create_srq). Under the
/// engine lock.
struct ReceiveQueue {
    struct Request {
        var id: UInt64
        var pieces: Int32
    }

    private var requests: UnsafeMutablePointer<Request>
    private var pieces: UnsafeMutablePointer<ibv_sge>
    private(set) var depth: Int
    let piecesEach: Int
    private var first = 0
    private(set) var count = 0

    init(depth: Int, pieces piecesEach: Int) {
        self.depth = depth
        self.piecesEach = piecesEach
        requests = .allocate(capacity: max(1, depth))
        pieces = .allocate(capacity: max(1, depth * piecesEach))
    }

    /// errno.
    mutating func post(_ request: UnsafeMutablePointer<ibv_recv_wr>) -> Int32 {
        let n = Int(request.pointee.num_sge)
        guard n >= 0, n <= piecesEach else { return EINVAL }
        guard count < depth else { return ENOMEM }
        let place = (first + count) % depth
        requests[place] = Request(id: request.pointee.wr_id, pieces: Int32(n))
        for i in 0..<n { pieces[place * piecesEach + i] = request.pointee.sg_list[i] }
        count += 1
        return 0
    }

    /// The oldest request; its pieces are valid until the next post.
    mutating func take() -> (request: Request, pieces: UnsafeMutablePointer<ibv_sge>)? {
        guard count > 0 else { return nil }
        let place = first
        first = (first + 1) % depth
        count -= 1
        return (requests[place], pieces + place * piecesEach)
    }

    /// Undoes the last take, after which nothing was posted.
    mutating func putBack() {
        first = (first + depth - 1) % depth
        count += 1
    }

    /// `wanted` is at least `count`.
    mutating func resize(_ wanted: Int) {
        var larger = ReceiveQueue(depth: wanted, pieces: piecesEach)
        for i in 0..<count {
            let place = (first + i) % depth
            larger.requests[i] = requests[place]
            for k in 0..<piecesEach {
                larger.pieces[i * piecesEach + k] = pieces[place * piecesEach + k]
            }
        }
        larger.count = count
        free()
        self = larger
    }

    mutating func clear() { (first, count) = (0, 0) }

    func free() {
        requests.deallocate()
        pieces.deallocate()
    }
}
