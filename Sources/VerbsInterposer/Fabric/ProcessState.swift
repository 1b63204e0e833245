// SPDX-License-Identifier: Apache-2.0
import CVerbs

/// What /proc/PID/stat (proc_pid_stat(5)) says of a process.
struct ProcessState {
    /// Some thread of it still runs.
    let isLiving: Bool

    init(_ pid: UInt32) {
        var text = [UInt8](repeating: 0, count: 1024)
        let file = openShim("/proc/\(pid)/stat", O_RDONLY | O_CLOEXEC, 0)
        let count = file < 0 ? 0 : read(file, &text, text.count)
        if file >= 0 { close(file) }
        guard count > 0, let name = text[..<count].lastIndex(of: UInt8(ascii: ")")) else {
            isLiving = false
            return
        }
        // After the name: state (field 3), …, number of threads (field 20).
        let fields = text[(name + 2)..<count].split(separator: UInt8(ascii: " "))
        let hasEnded = fields.first?.first == UInt8(ascii: "Z") || fields.first?.first == UInt8(ascii: "X")
        let isAlone = fields.count > 17 && fields[17].elementsEqual([UInt8(ascii: "1")])
        isLiving = !(hasEnded && isAlone)
    }
}
