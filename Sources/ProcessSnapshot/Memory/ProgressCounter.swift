// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// How far a long copy has come, in bytes. Any thread.
final class ProgressCounter: Sendable {
    private let done = Atomic<UInt64>(0)
    private let total = Atomic<UInt64>(0)

    var value: (done: UInt64, total: UInt64) {
        (done.load(ordering: .relaxed), total.load(ordering: .relaxed))
    }

    func start(total bytes: UInt64) { total.store(bytes, ordering: .relaxed) }
    func add(_ bytes: UInt64) { done.add(bytes, ordering: .relaxed) }
}
