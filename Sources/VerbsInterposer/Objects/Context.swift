// SPDX-License-Identifier: Apache-2.0
import CVerbs

/// ibv_open_device: the function table that inline functions of verbs.h call, and the asynchronous
/// events of the objects made through it.
final class Context {
    let handle: UnsafeMutablePointer<fermata_context>
    let engine: Engine
    private var events: [ibv_async_event] = []
    /// Events handed out by ibv_get_async_event, by the object they are about.
    private var delivered: [(object: UnsafeMutableRawPointer, count: Int)] = []

    /// nil with errno set.
    init?(_ device: UnsafeMutablePointer<ibv_device>, _ engine: Engine) {
        let descriptor = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_SEMAPHORE))
        guard descriptor >= 0 else { return nil }
        let command = openShim("/dev/null", O_RDWR | O_CLOEXEC, 0)
        guard command >= 0 else {
            let number = errorNumber
            _ = CVerbs.close(descriptor)
            errorNumber = number
            return nil
        }
        self.engine = engine
        handle = allocateHandle(fermata_context.self)
        handle.pointee.verbs.sz = MemoryLayout<verbs_context>.size
        handle.pointee.verbs.context.device = device
        // There is no driver to talk to; programs duplicate it, and set its flags.
        handle.pointee.verbs.context.cmd_fd = command
        handle.pointee.verbs.context.async_fd = descriptor
        handle.pointee.verbs.context.num_comp_vectors = Device.completionVectors
        // "The structure before this one is there" (verbs.h, verbs_get_ctx).
        handle.pointee.verbs.context.abi_compat = UnsafeMutableRawPointer(bitPattern: -1)
        pthread_mutex_init(&handle.pointee.verbs.context.mutex, nil)
        handle.pointee.object = Unmanaged.passRetained(self).toOpaque()
        fillOperations(handle)
    }

    var pointer: UnsafeMutablePointer<ibv_context> {
        (UnsafeMutableRawPointer(handle) + Int(FERMATA_CONTEXT_OFFSET))
            .assumingMemoryBound(to: ibv_context.self)
    }

    static func of(_ context: UnsafeMutablePointer<ibv_context>) -> Context {
        let handle = (UnsafeMutableRawPointer(context) - Int(FERMATA_CONTEXT_OFFSET))
            .assumingMemoryBound(to: fermata_context.self)
        return object(handle.pointee.object, Context.self)
    }

    // MARK: asynchronous events

    /// Under the engine lock.
    func raise(_ type: ibv_event_type, _ fill: (inout ibv_async_event) -> Void) {
        var event = ibv_async_event()
        event.event_type = type
        fill(&event)
        events.append(event)
        fabric_count_up(handle.pointee.verbs.context.async_fd)
    }

    /// Blocks unless the application has made the descriptor non-blocking. -1 with errno. Not under
    /// the lock.
    func nextEvent(_ event: UnsafeMutablePointer<ibv_async_event>) -> Int32 {
        var count: UInt64 = 0
        while true {
            guard read(handle.pointee.verbs.context.async_fd, &count, 8) == 8 else { return -1 }
            let found = Engine.locked { () -> Bool in
                guard !events.isEmpty else { return false }
                event.pointee = events.removeFirst()
                note(UnsafeMutableRawPointer(event.pointee.element.qp))
                return true
            }
            if found { return 0 }
        }
    }

    private func note(_ object: UnsafeMutableRawPointer?) {
        guard let object else { return }
        if let i = delivered.firstIndex(where: { $0.object == object }) {
            delivered[i].count += 1
        } else {
            delivered.append((object, 1))
        }
    }

    /// Drops events about an object that goes; how many were handed out before. Not under the lock.
    func forget<T>(_ pointer: UnsafeMutablePointer<T>) -> Int {
        let object = UnsafeMutableRawPointer(pointer)
        return Engine.locked {
            let before = events.count
            events.removeAll {
                Self.isAboutObject($0.event_type) && UnsafeMutableRawPointer($0.element.qp) == object
            }
            // A forked child counts on its parent's descriptor.
            for _ in events.count..<before where engine.isCurrent {
                fabric_count_down(handle.pointee.verbs.context.async_fd)
            }
            guard let i = delivered.firstIndex(where: { $0.object == object }) else { return 0 }
            return delivered.remove(at: i).count
        }
    }

    /// And not about a port or the device.
    private static func isAboutObject(_ type: ibv_event_type) -> Bool {
        switch type {
        case IBV_EVENT_CQ_ERR, IBV_EVENT_QP_FATAL, IBV_EVENT_QP_REQ_ERR, IBV_EVENT_QP_ACCESS_ERR,
            IBV_EVENT_COMM_EST, IBV_EVENT_SQ_DRAINED, IBV_EVENT_PATH_MIG, IBV_EVENT_PATH_MIG_ERR,
            IBV_EVENT_SRQ_ERR, IBV_EVENT_SRQ_LIMIT_REACHED, IBV_EVENT_QP_LAST_WQE_REACHED:
            return true
        default: return false
        }
    }

    func close() {
        _ = CVerbs.close(handle.pointee.verbs.context.async_fd)
        _ = CVerbs.close(handle.pointee.verbs.context.cmd_fd)
        free(handle)
        release(self)
    }
}
