import Glibc

/// The keyboard of a job that reads a pipe.
package final class Feed {
    package let readingEnd: Int32
    private var writingEnd: Int32

    package init() throws {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw TestFailure("pipe: errno \(errno)") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        (readingEnd, writingEnd) = (ends[0], ends[1])
    }

    deinit {
        close(readingEnd)
        end()
    }

    package func write(_ text: String) {
        _ = Array(text.utf8).withUnsafeBytes { Glibc.write(writingEnd, $0.baseAddress, $0.count) }
    }

    package func end() {
        if writingEnd >= 0 { close(writingEnd) }
        writingEnd = -1
    }
}
