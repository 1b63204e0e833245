// SPDX-License-Identifier: Apache-2.0
import CheckpointImage
import Glibc
import LinuxSystem
import Tracing

/// Pseudo-terminals, in the pod's own devpts, so that /dev/pts/<n> keeps its number.
final class TerminalRestore {
    private let context: RestoreContext
    private var masters: [UInt32: Descriptor] = [:]
    private typealias Request = TerminalCapture.Request

    init(_ context: RestoreContext) { self.context = context }

    private func terminals() -> [(index: Int, file: ImageOpenFile, terminal: ImageTerminal)] {
        context.inventory.openFiles.enumerated().compactMap { i, file in
            guard case .terminal(let terminal)? = file.kind, !terminal.controllingName else {
                return nil
            }
            return (i, file, terminal)
        }
    }

    /// Opens all of them; /dev/tty itself is opened by its process (`openControllingNames`).
    func restoreAll() throws {
        let all = terminals()
        try makeMasters(Set(all.map(\.terminal.index)))
        for item in all {
            guard let master = masters[item.terminal.index] else { continue }
            var unlock: Int32 = 0
            try master.control(Request.setLock, &unlock)
            if item.terminal.supervised { context.supervisedMaster = master }
            if item.terminal.master {
                context.files[item.index] = master
            } else {
                let flags = Int32(bitPattern: item.file.flags) & O_ACCMODE
                context.files[item.index] = try context.open(
                    "/dev/pts/\(item.terminal.index)", flags | O_NOCTTY | O_NONBLOCK)
            }
        }
        for item in all { try setState(item.terminal) }
    }

    /// Numbers are handed out lowest first: those in between are made and dropped.
    private func makeMasters(_ wanted: Set<UInt32>) throws {
        guard let highest = wanted.max() else { return }
        var spare: [Descriptor] = []
        while masters.count < wanted.count {
            let master = try context.open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK)
            var number: UInt32 = 0
            try master.control(Request.getNumber, &number)
            guard number <= highest else {
                throw RestoreError("pseudo-terminals \(wanted.sorted()) cannot have their numbers again")
            }
            if wanted.contains(number) { masters[number] = master } else { spare.append(master) }
        }
    }

    private func setState(_ terminal: ImageTerminal) throws {
        guard let master = masters[terminal.index] else { return }
        var attributes = Array(terminal.attributes)
        _ = attributes.withUnsafeMutableBytes {
            Kernel.raw(
                .ioctl, Int(master.number), Int(Request.setAttributes), Int(bitPattern: $0.baseAddress))
        }
        var window = Array(terminal.windowSize)
        if !terminal.supervised {
            _ = window.withUnsafeMutableBytes {
                Kernel.raw(
                    .ioctl, Int(master.number), Int(Request.setWindow), Int(bitPattern: $0.baseAddress))
            }
        }
        if terminal.master && terminal.packetMode {
            var on: Int32 = 1
            try master.control(Request.setPacket, &on)
        }
        let isEmpty = terminal.output.isEmpty && terminal.input.isEmpty && terminal.stop == 0
        // Opening the slave and closing it again is what hangs a terminal up.
        guard !isEmpty || terminal.hungUp else { return }
        guard let queues = TerminalQueues(master: master, packetMode: terminal.packetMode) else {
            throw RestoreError("pseudo-terminal \(terminal.index) cannot be filled again")
        }
        try queues.fill(
            TerminalQueues.Content(
                output: Array(terminal.output), input: Array(terminal.input),
                stop: TerminalQueues.Stop(rawValue: terminal.stop) ?? .none))
    }

    /// Session leaders take their controlling terminals; then the foreground groups are set.
    func attachSessions() throws {
        for item in terminals() where item.terminal.session > 1 {
            let process = context.inventory.processes.first {
                $0.session == item.terminal.session && $0.pid == $0.session && !$0.zombie
            }
            guard let process, let stub = context.stubs[Int32(process.pid)] else { continue }
            let number = try borrow(item.terminal.index, stub)
            _ = try stub.invoke(.ioctl, [UInt64(number), UInt64(Request.setControlling), 0])
            if item.terminal.foregroundGroup > 1 {
                let group = try stub.place(value: Int32(item.terminal.foregroundGroup))
                _ = try stub.invoke(.ioctl, [UInt64(number), UInt64(Request.setGroup), group])
            }
            try stub.call(.close, UInt64(number))
        }
    }

    /// Opens the slave inside the process.
    private func borrow(_ index: UInt32, _ stub: Stub) throws -> UInt64 {
        let path = try stub.place(path: "/dev/pts/\(index)")
        return try stub.call(
            .open, path, UInt64(O_RDWR | O_NOCTTY | O_NONBLOCK), 0, what: "open /dev/pts/\(index)")
    }
}
