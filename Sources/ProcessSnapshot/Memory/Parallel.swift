// SPDX-License-Identifier: Apache-2.0
import Glibc
import LinuxSystem
import Synchronization

/// Plain threads for blocking work. Not Swift concurrency: its pool is as wide as the machine,
/// and blocking it with reads and writes would stop everything else.
public enum Parallel {
    /// Runs a closure on a thread of its own; `join` waits for it and rethrows.
    public final class Task<Value: Sendable>: Sendable {
        private let result = Result(nil)
        private let thread: Thread

        private final class Result: Sendable {
            let value: Mutex<Swift.Result<Value, any Error>?>
            init(_ value: Swift.Result<Value, any Error>?) { self.value = Mutex(value) }
        }

        public init(_ body: @escaping @Sendable () throws -> Value) {
            let result = result
            thread = Thread {
                let outcome = Swift.Result { try body() }
                result.value.withLock { $0 = outcome }
            }
        }

        public var isFinished: Bool { result.value.withLock { $0 != nil } }

        public func join() throws -> Value {
            thread.join()
            return try result.value.withLock { $0! }.get()
        }
    }

    /// A POSIX thread that runs one closure.
    final class Thread: Sendable {
        private let id: pthread_t

        final class Body: Sendable {
            let run: @Sendable () -> Void
            init(_ run: @escaping @Sendable () -> Void) { self.run = run }
        }

        init(_ run: @escaping @Sendable () -> Void) {
            var id = pthread_t()
            let body = Unmanaged.passRetained(Body(run)).toOpaque()
            let failed = pthread_create(&id, nil, threadMain, body)
            precondition(failed == 0, "cannot start a thread")
            self.id = id
        }

        func join() { pthread_join(id, nil) }
    }

    /// Calls the worker closure with 0..<count, each number once, from `workers` threads. Each
    /// thread makes a worker of its own. The first error stops the others and is thrown.
    public static func forEach(
        _ count: Int, workers: Int, _ makeWorker: @escaping @Sendable () -> (Int) throws -> Void
    ) throws {
        let counter = Counter()
        let tasks = (0..<max(1, workers)).map { _ in
            Task<Void> {
                let work = makeWorker()
                while true {
                    let i = counter.next.add(1, ordering: .relaxed).oldValue
                    guard i < count else { return }
                    do { try work(i) } catch {
                        counter.next.store(count, ordering: .relaxed)
                        throw error
                    }
                }
            }
        }
        var failure: (any Error)?
        for task in tasks {
            do { try task.join() } catch { failure = failure ?? error }
        }
        if let failure { throw failure }
    }

    private final class Counter: Sendable {
        let next = Atomic<Int>(0)
    }
}

private func threadMain(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    // Not the creator's CPUs: it may be bound to one for the time being.
    (try? Affinity(of: getpid()))?.apply(to: 0)
    Unmanaged<Parallel.Thread.Body>.fromOpaque(argument!).takeRetainedValue().run()
    return nil
}
