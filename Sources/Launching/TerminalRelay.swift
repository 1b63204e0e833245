// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
import LinuxSystem

/// Carries bytes between the person's terminal and the pseudo-terminal that the job has for its
/// own, as script(1) and ssh(1) do. The job's terminal can then be rebuilt at restart.
public final class TerminalRelay {
    public let master: Descriptor
    /// Keeps the master from reporting a hang-up between two programs.
    private let slave: Descriptor
    public let index: UInt32
    private let input: Int32
    private let output: Int32
    private let inputIsTerminal: Bool
    private let outputIsTerminal: Bool
    private var saved = termios()
    private var isRaw = false
    private var inputEnded = false
    private var toJob: [UInt8] = []

    /// `slavePath`: where this program can open the slave.
    public init(
        master: Descriptor, index: UInt32, slavePath: String, input: Int32 = 0, output: Int32 = 1
    ) throws {
        self.master = master
        self.index = index
        self.input = input
        inputIsTerminal = isatty(input) == 1
        // The terminal itself, wherever it is found among the standard descriptors.
        let terminals = [output, 2, 0].filter { isatty($0) == 1 }
        self.output = isatty(output) == 1 ? output : (terminals.first ?? output)
        outputIsTerminal = isatty(self.output) == 1
        slave = try Descriptor.open(slavePath, O_RDWR | O_NOCTTY)
        _ = fcntl(master.number, F_SETFL, fcntl(master.number, F_GETFL) | O_NONBLOCK)
    }

    /// A fresh pseudo-terminal that looks like the person's.
    public static func create() throws -> TerminalRelay {
        // pts(4): on devpts no grantpt(3) is needed.
        let master = try Descriptor.open("/dev/ptmx", O_RDWR | O_NOCTTY)
        var unlocked: Int32 = 0
        try master.control(0x4004_5431, &unlocked)  // TIOCSPTLCK
        var index: UInt32 = 0
        try master.control(0x8004_5430, &index)  // TIOCGPTN
        let relay = try TerminalRelay(master: master, index: index, slavePath: "/dev/pts/\(index)")
        relay.copyAttributes()
        return relay
    }

    public var slaveNumber: Int32 { slave.number }

    private func copyAttributes() {
        var attributes = termios()
        if let outer = [input, output, 2].first(where: { isatty($0) == 1 }),
            tcgetattr(outer, &attributes) == 0
        {
            tcsetattr(slave.number, TCSANOW, &attributes)
        }
        copyWindowSize()
    }

    /// After SIGWINCH, and at the start.
    public func copyWindowSize() {
        var size = winsize()
        guard let outer = [output, input, 2].first(where: { isatty($0) == 1 }),
            ioctl(outer, UInt(TIOCGWINSZ), &size) == 0
        else { return }
        _ = ioctl(master.number, UInt(TIOCSWINSZ), &size)
    }

    /// Keys go to the job unchanged from here on, if this program is in the foreground.
    public func start() {
        guard inputIsTerminal, tcgetattr(input, &saved) == 0, tcgetpgrp(input) == getpgrp() else {
            return
        }
        var raw = saved
        cfmakeraw(&raw)
        isRaw = tcsetattr(input, TCSANOW, &raw) == 0
    }

    /// Gives the person's terminal back. Whatever the job has written is shown first.
    public func stop() {
        pumpOutput()
        if isRaw { tcsetattr(input, TCSADRAIN, &saved) }
        isRaw = false
    }

    /// What poll(2) should watch.
    public var interests: [pollfd] {
        var result = [pollfd(fd: master.number, events: Int16(POLLIN), revents: 0)]
        if !toJob.isEmpty { result[0].events |= Int16(POLLOUT) }
        if !inputEnded && toJob.count < 4096 {
            result.append(pollfd(fd: input, events: Int16(POLLIN), revents: 0))
        }
        return result
    }

    public func handle(_ ready: [pollfd]) {
        for event in ready where event.revents != 0 {
            if event.fd == master.number { pumpOutput() } else { pumpInput() }
        }
        flushInput()
    }

    /// Also called with the job frozen: what it wrote before the cut belongs to the outside.
    public func pumpOutput() {
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let n = read(master.number, &buffer, buffer.count)
            guard n > 0 else { return }
            writeAll(buffer[0..<n])
        }
    }

    private func writeAll(_ bytes: ArraySlice<UInt8>) {
        var rest = bytes
        while !rest.isEmpty {
            let n = rest.withUnsafeBytes { write(output, $0.baseAddress, $0.count) }
            if n > 0 { rest = rest.dropFirst(n); continue }
            if errno == EAGAIN {
                var p = pollfd(fd: output, events: Int16(POLLOUT), revents: 0)
                poll(&p, 1, 1000)
            } else if errno != EINTR {
                return
            }
        }
    }

    private func pumpInput() {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let n = read(input, &buffer, buffer.count)
        if n > 0 { toJob += buffer[0..<n] }
        if n == 0 {
            inputEnded = true
            toJob.append(4)  // end of a file that is not a terminal: as typed, control-D
        }
        if n < 0 && errno != EINTR && errno != EAGAIN { inputEnded = true }
    }

    private func flushInput() {
        while !toJob.isEmpty {
            let n = write(master.number, toJob, toJob.count)
            guard n > 0 else { return }
            toJob.removeFirst(n)
        }
    }
}
