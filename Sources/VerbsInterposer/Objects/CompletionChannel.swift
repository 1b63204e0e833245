// SPDX-License-Identifier: Apache-2.0
import CVerbs

/// What ibv_create_comp_channel makes: an eventfd that counts the completion queues waiting to be
/// told, so that poll, epoll, O_NONBLOCK and blocking reads work as on the kernel's descriptor.
final class CompletionChannel {
    let handle: UnsafeMutablePointer<fermata_channel>
    private var waiting: [CompletionQueue] = []
    /// Completion queues that use it.
    var users = 0

    /// nil with errno set.
    init?(_ context: UnsafeMutablePointer<ibv_context>) {
        let descriptor = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_SEMAPHORE))
        guard descriptor >= 0 else { return nil }
        handle = allocateHandle(fermata_channel.self)
        handle.pointee.channel.context = context
        handle.pointee.channel.fd = descriptor
        handle.pointee.object = Unmanaged.passRetained(self).toOpaque()
    }

    static func of(_ channel: UnsafeMutablePointer<ibv_comp_channel>) -> CompletionChannel {
        channel.withMemoryRebound(to: fermata_channel.self, capacity: 1) {
            object($0.pointee.object, CompletionChannel.self)
        }
    }

    /// Under the engine lock.
    func notify(_ queue: CompletionQueue) {
        waiting.append(queue)
        fabric_count_up(handle.pointee.channel.fd)
    }

    /// Takes back what a queue that is being destroyed has not been asked about. Under the lock.
    func forget(_ queue: CompletionQueue) {
        let before = waiting.count
        waiting.removeAll { $0 === queue }
        for _ in waiting.count..<before { countDown() }
    }

    /// Takes back a queue's last event. Under the lock.
    func takeBack(_ queue: CompletionQueue) {
        guard let i = waiting.lastIndex(where: { $0 === queue }) else { return }
        waiting.remove(at: i)
        countDown()
    }

    /// Somebody may have read the count already and be about to look for the queue: it finds none
    /// and waits again.
    private func countDown() { fabric_count_down(handle.pointee.channel.fd) }

    /// The next queue with an event. Blocks, unless the application has made the descriptor
    /// non-blocking; nil with errno set. Not under the engine lock.
    func next() -> CompletionQueue? {
        var count: UInt64 = 0
        while true {
            guard read(handle.pointee.channel.fd, &count, 8) == 8 else { return nil }
            let found = Engine.locked { () -> CompletionQueue? in
                guard !waiting.isEmpty else { return nil }
                let queue = waiting.removeFirst()
                queue.eventFetched()
                return queue
            }
            if let found { return found }
        }
    }

    /// errno.
    func destroy() -> Int32 {
        let busy = Engine.locked { users > 0 }
        guard !busy else { return EBUSY }
        close(handle.pointee.channel.fd)
        free(handle)
        release(self)
        return 0
    }
}
