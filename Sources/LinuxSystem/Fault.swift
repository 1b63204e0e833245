// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Fault injection for the tests: FERMATA_FAULT names a point (`capture`, `after-capture`, …) at
/// which this process kills itself with SIGKILL, as a crash would.
public enum Fault {
    private static let wanted = getenv("FERMATA_FAULT").map { String(cString: $0) }

    public static func point(_ name: String) {
        if let wanted, wanted == name { kill(getpid(), SIGKILL) }
    }
}
