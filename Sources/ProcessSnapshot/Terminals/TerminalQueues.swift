// SPDX-License-Identifier: Apache-2.0
import CheckpointImage
import Foundation
import Glibc
import LinuxSystem

/// What waits in a pseudo-terminal: written by the slave and not yet read by the master, and
/// typed into the master and not yet read by the slave. A terminal cannot be peeked, so the
/// bytes are read and put back at once while nothing else runs.
struct TerminalQueues {
    private let master: Descriptor
    private let slave: Descriptor
    private let packetMode: Bool

    /// nil when the slave is closed for good and cannot be opened again.
    init?(master: Descriptor, packetMode: Bool) {
        let flags = Int(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC)
        let fd = Kernel.raw(.ioctl, Int(master.number), 0x5441, flags)  // TIOCGPTPEER
        guard fd >= 0 else { return nil }
        self.master = master
        slave = Descriptor(owning: Int32(fd))
        self.packetMode = packetMode
    }

    struct Content {
        /// Written by the slave, not yet read by the master.
        var output: [UInt8] = []
        /// Typed into the master, not yet read by the slave. A line that is still being typed in
        /// canonical mode is not visible and is not in it.
        var input: [UInt8] = []
        var stop = Stop.none
    }

    /// Why the slave's writers wait although there is room.
    enum Stop: UInt32 {
        case none = 0
        /// The VSTOP character was typed (termios(3), IXON).
        case character = 1
        /// tcflow(3) with TCOOFF.
        case call = 2
    }

    // Offsets in the kernel's struct termios (asm-generic/termbits.h).
    private static let outputFlags = 4..<8, localFlags = 12..<16, inputFlags = 0..<4
    private static let minimum = 17 + 6, time = 17 + 5  // c_cc[VMIN], c_cc[VTIME]
    private static let stopCharacter = 17 + 9  // c_cc[VSTOP]
    private static let canonical: UInt32 = 2, flowControl: UInt32 = 0x400  // ICANON, IXON

    private func attributes() -> [UInt8] {
        var result = [UInt8](repeating: 0, count: 36)
        _ = result.withUnsafeMutableBytes {
            Kernel.raw(
                .ioctl, Int(slave.number), Int(TerminalCapture.Request.getAttributes),
                Int(bitPattern: $0.baseAddress))
        }
        return result
    }

    private func setAttributes(_ value: [UInt8]) {
        var value = value
        _ = value.withUnsafeMutableBytes {
            Kernel.raw(
                .ioctl, Int(slave.number), Int(TerminalCapture.Request.setAttributes),
                Int(bitPattern: $0.baseAddress))
        }
    }

    private static func drain(_ handle: Descriptor, packets: Bool) -> [UInt8] {
        let flags = fcntl(handle.number, F_GETFL)
        _ = fcntl(handle.number, F_SETFL, flags | O_NONBLOCK)
        defer { _ = fcntl(handle.number, F_SETFL, flags) }
        var result: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let n = read(handle.number, &buffer, buffer.count)
            guard n > 0 else { return result }
            // ioctl_tty(2), TIOCPKT: each read begins with a control byte, 0 for data.
            result += packets ? (buffer[0] == 0 ? buffer[1..<n] : []) : buffer[0..<n]
        }
    }

    /// A terminal that was full takes as much again: in pieces of the size that the kernel packs
    /// most tightly (256, drivers/tty/tty_buffer.c), with pauses in which the line discipline fetches
    /// them, and the last buffer may be larger than the limit allows.
    private static func put(_ bytes: [UInt8], _ handle: Descriptor, _ what: String) throws {
        let flags = fcntl(handle.number, F_GETFL)
        _ = fcntl(handle.number, F_SETFL, flags | O_NONBLOCK)
        defer { _ = fcntl(handle.number, F_SETFL, flags) }
        var (done, piece, refusals) = (0, 256, 0)
        while done < bytes.count {
            let n = bytes.withUnsafeBytes {
                write(handle.number, $0.baseAddress! + done, min(piece, bytes.count - done))
            }
            if n > 0 {
                (done, refusals) = (done + n, 0)
            } else if (n == 0 || errno == EAGAIN) && refusals < 1000 {
                refusals += 1
                if refusals == 200 { piece = 4096 }
                Clock.sleep(microseconds: 200)
            } else {
                throw SystemError(
                    code: n == 0 ? EAGAIN : errno,
                    operation: "put back \(what) of a terminal: \(done) of \(bytes.count) bytes fit")
            }
        }
    }

    /// What is in the terminal; left as it was.
    func content() throws -> Content {
        var content = Content()
        content.output = Self.drain(master, packets: packetMode)
        content.stop = letGo()
        if !content.output.isEmpty { try putOutput(content.output) }
        content.input = try drainInput()
        if !content.input.isEmpty { try putInput(content.input) }
        if content.stop != .none { try halt(content.stop) }
        return content
    }

    /// Into a terminal that was just made.
    func fill(_ content: Content) throws {
        if !content.output.isEmpty { try putOutput(content.output) }
        if !content.input.isEmpty { try putInput(content.input) }
        if content.stop != .none { try halt(content.stop) }
    }

    // MARK: flow control

    /// A terminal that is empty and still takes nothing is stopped (drivers/tty/pty.c,
    /// pty_write_room). Starts it: nothing can be put back into one that is.
    private func letGo() -> Stop {
        guard !takesOutput() else { return .none }
        // Without IXON a stop by a character ends (drivers/tty/n_tty.c, n_tty_set_termios).
        let original = attributes()
        let flags = value(UInt32.self, from: original, at: Self.inputFlags.lowerBound)
        for input in [flags | Self.flowControl, flags & ~Self.flowControl] {
            var changed = original
            changed.replaceSubrange(Self.inputFlags, with: LinuxSystem.bytes(of: input))
            setAttributes(changed)
        }
        setAttributes(original)
        if takesOutput() { return .character }
        flow(Self.start)
        return .call
    }

    private func takesOutput() -> Bool {
        var state = pollfd(fd: slave.number, events: Int16(POLLOUT), revents: 0)
        return poll(&state, 1, 0) == 1 && state.revents & Int16(POLLOUT) != 0
    }

    // TCOOFF and TCOON, arguments of TCXONC (ioctl_tty(2)).
    private static let halted = 0, start = 1

    private func flow(_ action: Int) { _ = Kernel.raw(.ioctl, Int(slave.number), 0x540A, action) }

    private func halt(_ stop: Stop) throws {
        guard stop == .character else { return flow(Self.halted) }
        let original = attributes()
        var quiet = original
        quiet.replaceSubrange(Self.inputFlags, with: LinuxSystem.bytes(of: Self.flowControl))
        quiet.replaceSubrange(Self.localFlags, with: [0, 0, 0, 0])
        quiet[Self.stopCharacter] = 0x13
        setAttributes(quiet)
        defer { setAttributes(original) }
        try Self.put([0x13], master, "a stop")
        settle()
    }

    /// Waits until the line discipline has fetched what the master wrote (n_tty_poll does it).
    private func settle() {
        var state = pollfd(fd: slave.number, events: Int16(POLLIN), revents: 0)
        poll(&state, 1, 0)
    }

    // MARK: putting in and taking out

    /// Output goes in through the slave, without a second translation of newlines.
    private func putOutput(_ bytes: [UInt8]) throws {
        let original = attributes()
        var raw = original
        raw.replaceSubrange(Self.outputFlags, with: [0, 0, 0, 0])
        setAttributes(raw)
        defer { setAttributes(original) }
        try Self.put(bytes, slave, "output")
    }

    private func drainInput() throws -> [UInt8] {
        var waiting: Int32 = 0
        guard (try? slave.control(UInt(FIONREAD), &waiting)) != nil, waiting > 0 else { return [] }
        let original = attributes()
        setAttributes(Self.raw(original))
        defer { setAttributes(original) }
        return Self.drain(slave, packets: false)
    }

    /// Input goes in through the master, neither echoed nor interpreted.
    private func putInput(_ bytes: [UInt8]) throws {
        let original = attributes()
        // Lines stay lines: canonical mode cuts them at the same places again.
        var quiet = Self.raw(original)
        let flags = value(UInt32.self, from: original, at: Self.localFlags.lowerBound)
        quiet.replaceSubrange(Self.localFlags, with: LinuxSystem.bytes(of: flags & Self.canonical))
        setAttributes(quiet)
        defer {
            var flushed: Int32 = 0
            _ = try? slave.control(UInt(FIONREAD), &flushed)  // waits for the line discipline
            setAttributes(original)
        }
        try Self.put(bytes, master, "input")
        var p = pollfd(fd: slave.number, events: Int16(POLLIN), revents: 0)
        poll(&p, 1, 100)
    }

    private static func raw(_ attributes: [UInt8]) -> [UInt8] {
        var raw = attributes
        raw.replaceSubrange(inputFlags, with: [0, 0, 0, 0])
        raw.replaceSubrange(localFlags, with: [0, 0, 0, 0])
        raw[minimum] = 0
        raw[time] = 0
        return raw
    }
}
