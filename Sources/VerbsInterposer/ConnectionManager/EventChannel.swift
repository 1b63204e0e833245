// SPDX-License-Identifier: Apache-2.0
import CVerbs

/// rdma_create_event_channel: events of the connection ids made on it, oldest first. Its descriptor
/// is an eventfd that counts them, so that poll, blocking and a checkpoint need nothing of us.
final class EventChannel {
    let descriptor: Int32
    private var events: [ConnectionEvent] = []

    /// One entry per descriptor that is a channel's: what write, close and fstat look at first.
    nonisolated(unsafe) private static var marks: UnsafeMutablePointer<UInt8>?
    private static var limit: Int32 { 1 << 20 }
    nonisolated(unsafe) private static var all: [EventChannel] = []

    private init(_ descriptor: Int32) { self.descriptor = descriptor }

    /// open(2) of the device. -1 with errno.
    static func open(_ flags: Int32) -> Int32 {
        guard Engine.start() != nil else { return -1 }
        var kind = Int32(EFD_SEMAPHORE)
        if flags & O_CLOEXEC != 0 { kind |= Int32(EFD_CLOEXEC) }
        if flags & O_NONBLOCK != 0 { kind |= Int32(EFD_NONBLOCK) }
        let descriptor = eventfd(0, kind)
        guard descriptor >= 0, descriptor < limit else { return descriptor }
        Engine.locked {
            if marks == nil {
                marks = fabric_blank(Int(limit), PROT_READ | PROT_WRITE)?
                    .assumingMemoryBound(to: UInt8.self)
            }
            all.append(EventChannel(descriptor))
            marks?[Int(descriptor)] = 1
        }
        return descriptor
    }

    /// Without the lock: a descriptor becomes or ceases to be one by the caller's own doing.
    @inline(__always)
    static func isOne(_ descriptor: Int32) -> Bool {
        guard let marks, descriptor >= 0, descriptor < limit else { return false }
        return marks[Int(descriptor)] != 0
    }

    /// nil: another file has got the number since, by dup2(2) or close_range(2).
    static func of(_ descriptor: Int32) -> EventChannel? {
        if isEventDescriptor(descriptor) { return Engine.locked { find(descriptor) } }
        closing(descriptor)
        return nil
    }

    private static func isEventDescriptor(_ descriptor: Int32) -> Bool {
        var link = [CChar](repeating: 0, count: 64)
        let length = readlinkShim("/proc/self/fd/\(descriptor)", &link, link.count)
        let expected: StaticString = "anon_inode:[eventfd]"
        return length == expected.utf8CodeUnitCount && memcmp(link, expected.utf8Start, length) == 0
    }

    /// Under the lock.
    static func find(_ descriptor: Int32) -> EventChannel? { all.first { $0.descriptor == descriptor } }

    /// close(2): ids that are left on it go with it, as in the kernel.
    static func closing(_ descriptor: Int32) {
        Engine.locked {
            guard let channel = find(descriptor) else { return }
            marks?[Int(descriptor)] = 0
            Engine.current?.connections.destroyAll(on: channel)
            all.removeAll { $0 === channel }
        }
    }

    // MARK: events, under the lock

    func add(_ event: ConnectionEvent) {
        events.append(event)
        fabric_count_up(descriptor)
    }

    /// Takes the events of an id away, for another channel or for nobody.
    func remove(_ id: ConnectionIdentifier) -> [ConnectionEvent] {
        let taken = events.filter { $0.id === id }
        events.removeAll { $0.id === id }
        forget(taken.count)
        return taken
    }

    func remove(_ membership: Membership) {
        let before = events.count
        events.removeAll { $0.membership === membership }
        forget(before - events.count)
    }

    /// Takes back the count of events that are gone.
    private func forget(_ n: Int) {
        for _ in 0..<n { fabric_count_down(descriptor) }
    }

    /// errno. Waits for one, unless the descriptor is non-blocking. Not under the lock.
    func next() -> (ConnectionEvent?, Int32) {
        Engine.locked { if events.isEmpty { Engine.current?.expectSleep() } }
        while true {
            var value: UInt64 = 0
            guard read(descriptor, &value, 8) == 8 else { return (nil, errorNumber) }
            let found = Engine.locked { () -> ConnectionEvent? in
                guard !events.isEmpty else { return nil }
                var event = events.removeFirst()
                event.id.eventsReported += 1
                event.membership?.eventsReported += 1
                event.response.uid = event.membership?.context ?? event.id.context
                return event
            }
            if let found { return (found, 0) }
        }
    }
}

/// One event, in the form in which the device tells it.
struct ConnectionEvent {
    /// Whom it is told to; of a connection request, the listener.
    let id: ConnectionIdentifier
    /// The new id of a connection request.
    var request: ConnectionIdentifier?
    /// What a multicast event is about.
    var membership: Membership?
    var response: rdma_ucm_event_resp

    /// enum rdma_cm_event_type of <rdma/rdma_cma.h>.
    enum Kind: UInt32 {
        case addressResolved = 0, addressError, routeResolved, routeError, connectRequest
        case connectResponse, connectError, unreachable, rejected, established, disconnected
        case deviceRemoval, multicastJoin, multicastError
    }
}
