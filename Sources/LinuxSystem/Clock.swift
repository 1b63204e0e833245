// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Clocks in nanoseconds (clock_gettime(2)).
public enum Clock {
    public static func monotonic() -> Int64 { now(CLOCK_MONOTONIC) }
    public static func realtime() -> Int64 { now(CLOCK_REALTIME) }
    public static func boottime() -> Int64 { now(7) }

    private static func now(_ clock: clockid_t) -> Int64 {
        var t = timespec()
        clock_gettime(clock, &t)
        return Int64(t.tv_sec) * 1_000_000_000 + Int64(t.tv_nsec)
    }

    public static func sleep(microseconds: UInt32) { usleep(microseconds) }
}
