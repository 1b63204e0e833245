// SPDX-License-Identifier: Apache-2.0
import CVerbs

/// The count of an eventfd(2) semaphore that the application holds, and may have made blocking.
enum EventCount {
    /// Takes one back, unless the application has taken all.
    static func takeOne(_ descriptor: Int32) {
        var ready = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        var one: UInt64 = 0
        if poll(&ready, 1, 0) == 1 { _ = read(descriptor, &one, 8) }
    }
}
