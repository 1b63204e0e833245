// SPDX-License-Identifier: Apache-2.0
import CheckpointImage
import CLinux
import Foundation
import Glibc
import LinuxSystem

/// Pseudo-terminals (pty(7)). Slaves of a master inside the job, and those of the supervisor's
/// own relay, are carried; a real terminal or somebody else's is a device.
struct TerminalCapture {
    let context: CaptureContext

    init(_ context: CaptureContext) { self.context = context }

    enum Request {
        static let getAttributes: UInt = 0x5401, setAttributes: UInt = 0x5402
        static let getGroup: UInt = 0x540F, setGroup: UInt = 0x5410
        static let getWindow: UInt = 0x5413, setWindow: UInt = 0x5414
        static let getSession: UInt = 0x5429
        static let getNumber: UInt = 0x8004_5430, setLock: UInt = 0x4004_5431
        static let getPacket: UInt = 0x8004_5438, setPacket: UInt = 0x5420
        static let getLock: UInt = 0x8004_5439, setControlling: UInt = 0x540E
    }

    /// Whether the slave was open and no longer is: read(2) of the master gives EIO once what waits
    /// is read, while before the first open it waits (TTY_OTHER_CLOSED, drivers/tty/pty.c).
    static func isHungUp(_ master: Descriptor) -> Bool {
        var state = pollfd(fd: master.number, events: 0, revents: 0)
        return poll(&state, 1, 0) == 1 && state.revents & Int16(POLLHUP) != 0
    }

    func capture(_ source: DescriptorSource, major: UInt32, minor: UInt32) throws -> ImageOpenFile {
        var terminal = ImageTerminal()
        if major == 5 && minor == 0 {
            terminal.controllingName = true
            return .with { $0.terminal = terminal }
        }
        terminal.master = major == 5
        if terminal.master {
            var number: UInt32 = 0
            try source.handle.control(Request.getNumber, &number)
            terminal.index = number
            context.terminalMasters[number] = source.handle
            var flag: Int32 = 0
            if (try? source.handle.control(Request.getPacket, &flag)) != nil {
                terminal.packetMode = flag != 0
            }
            if (try? source.handle.control(Request.getLock, &flag)) != nil {
                terminal.locked = flag != 0
            }
        } else {
            terminal.index = minor + (major - 136) * 256
        }
        var attributes = [UInt8](repeating: 0, count: 36)  // struct termios, kernel layout
        _ = attributes.withUnsafeMutableBytes {
            Kernel.raw(
                .ioctl, Int(source.handle.number), Int(Request.getAttributes),
                Int(bitPattern: $0.baseAddress))
        }
        terminal.attributes = Data(attributes)
        var window = [UInt8](repeating: 0, count: 8)
        _ = window.withUnsafeMutableBytes {
            Kernel.raw(
                .ioctl, Int(source.handle.number), Int(Request.getWindow),
                Int(bitPattern: $0.baseAddress))
        }
        terminal.windowSize = Data(window)
        describeSession(source, &terminal)
        if !terminal.master { checkMasterLater(source, terminal.index) }
        return .with { $0.terminal = terminal }
    }

    /// Whose controlling terminal it is, from /proc/PID/stat: TIOCGSID would answer only to its
    /// own session.
    private func describeSession(_ source: DescriptorSource, _ terminal: inout ImageTerminal) {
        let device = Int32(bitPattern: Self.deviceNumber(terminal.index))
        for process in context.processes {
            guard let s = try? ProcessStatistics(pid: process.pid), s.terminal == device else {
                continue
            }
            terminal.session = UInt32(max(0, context.inner(s.session)))
            if s.foregroundGroup > 0 {
                terminal.foregroundGroup = UInt32(context.innerGroup(s.foregroundGroup))
            }
            return
        }
    }

    /// new_encode_dev of 136:index (include/linux/kdev_t.h).
    private static func deviceNumber(_ index: UInt32) -> UInt32 {
        let major = 136 + index / 256
        let minor = index % 256
        return (minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)
    }

    private func checkMasterLater(_ source: DescriptorSource, _ index: UInt32) {
        let context = context
        context.openFiles.deferred.append { [unowned context] in
            for file in context.inventory.openFiles {
                if case .terminal(let other)? = file.kind, other.master, other.index == index { return }
            }
            guard context.inherited.terminal == index else {
                throw context.refusal(.device, source.pid, source.name)
            }
            var terminal = context.inventory.openFiles[Int(source.index)].terminal
            terminal.supervised = true
            context.inventory.openFiles[Int(source.index)].terminal = terminal
        }
    }
}

extension CaptureContext {
    /// The job's name for a process group that the supervisor sees as `group`.
    func innerGroup(_ group: pid_t) -> pid_t {
        for process in processes {
            guard let s = try? ProcessStatistics(pid: process.pid), s.group == group else { continue }
            return (try? ProcessStatus("/proc/\(process.pid)"))?.namespaceGroups.last ?? group
        }
        return inner(group)
    }
}
