import Foundation
import Glibc

/// A terminal whose keyboard and screen the harness holds.
package final class Pseudoterminal {
    private let master: Int32
    package let path: String
    private var seen = Data()

    package init() throws {
        // posix_openpt and friends are hidden behind _XOPEN_SOURCE: /dev/ptmx and two ioctls are
        // what they are made of.
        master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)
        guard master >= 0 else { throw TestSkip("no pseudoterminals: errno \(errno)") }
        var number: UInt32 = 0
        var unlocked: Int32 = 0
        let getNumber: UInt = 0x8004_5430  // TIOCGPTN
        let setLock: UInt = 0x4004_5431  // TIOCSPTLCK
        guard ioctl(master, setLock, &unlocked) == 0, ioctl(master, getNumber, &number) == 0 else {
            throw TestSkip("no pseudoterminals: errno \(errno)")
        }
        path = "/dev/pts/\(number)"
        var size = winsize(ws_row: 30, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0)
        _ = ioctl(master, UInt(TIOCSWINSZ), &size)
        _ = fcntl(master, F_SETFL, O_NONBLOCK)
    }

    deinit {
        close(master)
    }

    package func type(_ text: String) {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { write(master, $0.baseAddress, $0.count) }
            if count > 0 {
                bytes = bytes.dropFirst(count)
            } else if errno == EAGAIN {
                pause(seconds: 0.005)
            } else {
                return
            }
        }
    }

    /// Everything that has appeared on the screen so far.
    package func screen() -> String {
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = read(master, &buffer, buffer.count)
            if count <= 0 { break }
            seen.append(contentsOf: buffer[..<count])
        }
        return String(decoding: seen, as: UTF8.self)
    }

    package func wait(for text: String, seconds: Double) throws {
        let found = poll(seconds: seconds) { screen().contains(text) ? true : nil }
        try expect(found == true, "the terminal never showed '\(text)'; it showed: \(screen())")
    }
}
