// SPDX-License-Identifier: Apache-2.0
import Coordination

enum Message: Equatable {
    case command(Command)
    case report(Report)
}

/// The connection between a node and its parent (of node 0: the coordinator). In order within
/// a direction, as TCP; once broken it is silent, and each end is told in its own time.
struct Link {
    /// One direction. Arrivals are separate events, each of which takes the first message.
    struct Direction {
        private var queue: [Message] = []
        private var head = 0
        var lastArrival = 0

        mutating func add(_ message: Message) { queue.append(message) }

        mutating func take() -> Message? {
            guard head < queue.count else { return nil }
            let message = queue[head]
            head += 1
            if head == queue.count {
                queue.removeAll(keepingCapacity: true)
                head = 0
            }
            return message
        }

        mutating func clear() { queue = []; head = 0 }
    }

    enum End { case upper, lower }

    var incarnation = 0
    var isUp = false
    /// Lives of the two processes that this connection is between.
    var upperLife = 0
    var lowerLife = 0
    var upperKnows = true
    var lowerKnows = true
    var silentUntil = 0
    var down = Direction()
    var up = Direction()
}
