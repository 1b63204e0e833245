// SPDX-License-Identifier: Apache-2.0

/// What is going to happen, by virtual time; things of one time in the order they were added.
struct EventQueue<Event> {
    private struct Entry {
        let time: Int
        let number: Int
        let event: Event

        func isBefore(_ other: Entry) -> Bool { (time, number) < (other.time, other.number) }
    }

    private var heap: [Entry] = []
    private var added = 0

    var isEmpty: Bool { heap.isEmpty }

    mutating func add(_ event: Event, at time: Int) {
        heap.append(Entry(time: time, number: added, event: event))
        added += 1
        var i = heap.count - 1
        while i > 0, heap[i].isBefore(heap[(i - 1) / 2]) {
            heap.swapAt(i, (i - 1) / 2)
            i = (i - 1) / 2
        }
    }

    mutating func next() -> (time: Int, event: Event)? {
        guard let first = heap.first else { return nil }
        let last = heap.removeLast()
        if !heap.isEmpty {
            heap[0] = last
            sink()
        }
        return (first.time, first.event)
    }

    private mutating func sink() {
        var i = 0
        while true {
            var least = i
            for child in (2 * i + 1)...(2 * i + 2) where child < heap.count && heap[child].isBefore(heap[least]) {
                least = child
            }
            if least == i { return }
            heap.swapAt(i, least)
            i = least
        }
    }
}
