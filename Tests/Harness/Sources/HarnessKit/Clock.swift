import Glibc

/// Seconds of CLOCK_MONOTONIC.
package func now() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}

package func pause(seconds: Double) {
    guard seconds > 0 else { return }
    var left = timespec(
        tv_sec: Int(seconds), tv_nsec: Int((seconds - seconds.rounded(.down)) * 1e9))
    var remaining = timespec()
    while nanosleep(&left, &remaining) != 0 && errno == EINTR {
        left = remaining
    }
}

/// Every limit of a test is multiplied by this (option `--patience`): for slow or busy machines.
/// Written once, before the first test starts.
nonisolated(unsafe) package var patience = 1.0

/// Asks again and again until the answer is there or the time is over.
///
/// The pauses grow: what happens at once is seen at once, what takes long costs little to wait for
/// on a machine whose cores the job needs.
package func poll<Answer>(
    seconds: Double, _ question: () throws -> Answer?
) rethrows -> Answer? {
    let end = now() + seconds * patience
    var step = 0.0005
    while true {
        if let answer = try question() {
            return answer
        }
        let left = end - now()
        if left <= 0 {
            return nil
        }
        pause(seconds: min(step, left))
        step = min(step * 1.5, 0.02)
    }
}
