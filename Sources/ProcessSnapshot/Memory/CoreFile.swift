// SPDX-License-Identifier: Apache-2.0
import CheckpointImage
import Glibc
import ImageStore
import LinuxSystem

/// A process of an image as an ELF core file (core(5), elf(5)): what gdb reads. Pages of mapped
/// files that the image does not store are read from the files.
public struct CoreFile {
    private let reader: ImageReader
    private let inventory: ImageInventory
    private let process: ImageProcess

    public init(reader: ImageReader, inventory: ImageInventory, process: ImageProcess) {
        self.reader = reader
        self.inventory = inventory
        self.process = process
    }

    public func write(to path: String) throws {
        let file = try Descriptor.open(path, O_RDWR | O_CREAT | O_TRUNC, mode: 0o600)
        let notes = self.notes()
        let mappings = process.memory.mappings
        let headerBytes = 64 + 56 * (mappings.count + 1)
        var offset = (UInt64(headerBytes + notes.count) + 4095) & ~4095
        var headers = elfHeader(segments: mappings.count + 1)
        headers += programHeader(
            type: 4, flags: 0, offset: UInt64(headerBytes), address: 0,
            fileBytes: UInt64(notes.count), memoryBytes: 0, align: 4)
        var offsets: [UInt64] = []
        for m in mappings {
            let flags = (m.protection & 1) << 2 | (m.protection & 2) | (m.protection & 4) >> 2
            headers += programHeader(
                type: 1, flags: flags, offset: offset, address: m.start,
                fileBytes: m.bytes, memoryBytes: m.bytes, align: 4096)
            offsets.append(offset)
            offset += m.bytes
        }
        try put(headers + notes, file, 0)
        try Kernel.libc(Int(ftruncate(file.number, Int(offset))), "resize \(path)")
        for (m, at) in zip(mappings, offsets) { try writeMapping(m, file, at) }
    }

    private func put(_ bytes: [UInt8], _ file: Descriptor, _ offset: UInt64) throws {
        try bytes.withUnsafeBytes { try file.write($0, at: Int64(offset)) }
    }

    private func writeMapping(_ m: ImageMapping, _ file: Descriptor, _ at: UInt64) throws {
        let buffer = AlignedBuffer(bytes: 1 << 20)
        switch m.backing {
        case .file: try copyFile(inventory.backingFiles[Int(m.object)].path, m, file, at, buffer)
        case .sharedMemory:
            let object = inventory.sharedMemory[Int(m.object)]
            try spread(object.pagesFile, object.extents, object.sizeBytes, m, file, at, buffer)
        case .openFile:
            let saved = inventory.savedFiles[Int(m.object)]
            if !saved.sizeOnly {
                try spread(saved.blockFile, saved.extents, saved.sizeBytes, m, file, at, buffer)
            }
        default: break
        }
        guard !m.extents.isEmpty else { return }
        let block = inventory.blockFiles[Int(process.memory.pagesFile)]
        try BlockSpread(reader: reader.blocks(block), extents: m.extents, size: m.bytes)
            .forEachChunk(buffer) { bytes, offset in try file.write(bytes, at: Int64(at + offset)) }
    }

    /// The part of an object that the mapping shows.
    private func spread(
        _ index: UInt32, _ extents: [UInt64], _ size: UInt64, _ m: ImageMapping, _ file: Descriptor,
        _ at: UInt64, _ buffer: AlignedBuffer
    ) throws {
        let object = try BlockSpread(
            reader: reader.blocks(inventory.blockFiles[Int(index)]), extents: extents, size: size)
        try object.forEachChunk(buffer) { bytes, offset in
            let start = max(offset, m.offset)
            let end = min(offset + UInt64(bytes.count), m.offset + m.bytes)
            guard start < end else { return }
            let part = UnsafeRawBufferPointer(rebasing: bytes[Int(start - offset)..<Int(end - offset)])
            try file.write(part, at: Int64(at + start - m.offset))
        }
    }

    private func copyFile(
        _ path: String, _ m: ImageMapping, _ file: Descriptor, _ at: UInt64, _ buffer: AlignedBuffer
    ) throws {
        guard let source = try? Descriptor.open(path, O_RDONLY) else { return }
        var done: UInt64 = 0
        while done < m.bytes {
            let n = pread(
                source.number, buffer.base, min(buffer.count, Int(m.bytes - done)), Int(m.offset + done))
            guard n > 0 else { return }
            try file.write(UnsafeRawBufferPointer(start: buffer.base, count: n), at: Int64(at + done))
            done += UInt64(n)
        }
    }

    // MARK: headers and notes

    private func elfHeader(segments: Int) -> [UInt8] {
        var h: [UInt8] = [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0] + [UInt8](repeating: 0, count: 8)
        h += bytes(of: UInt16(4)) + bytes(of: UInt16(62)) + bytes(of: UInt32(1))  // ET_CORE, x86-64
        h += bytes(of: UInt64(0)) + bytes(of: UInt64(64)) + bytes(of: UInt64(0)) + bytes(of: UInt32(0))
        h += bytes(of: UInt16(64)) + bytes(of: UInt16(56)) + bytes(of: UInt16(segments))
        h += [UInt8](repeating: 0, count: 6)
        return h
    }

    private func programHeader(
        type: UInt32, flags: UInt32, offset: UInt64, address: UInt64, fileBytes: UInt64,
        memoryBytes: UInt64, align: UInt64
    ) -> [UInt8] {
        bytes(of: type) + bytes(of: flags) + bytes(of: offset) + bytes(of: address)
            + bytes(of: UInt64(0)) + bytes(of: fileBytes) + bytes(of: memoryBytes) + bytes(of: align)
    }

    private func note(_ name: String, _ type: UInt32, _ content: [UInt8]) -> [UInt8] {
        func padded(_ b: [UInt8]) -> [UInt8] { b + [UInt8](repeating: 0, count: (4 - b.count % 4) % 4) }
        let n = Array(name.utf8) + [0]
        return bytes(of: UInt32(n.count)) + bytes(of: UInt32(content.count)) + bytes(of: type)
            + padded(n) + padded(content)
    }

    private func notes() -> [UInt8] {
        var result = note("CORE", 3, processInformation())  // NT_PRPSINFO
        for thread in process.threads where !thread.exited {
            result += note("CORE", 1, status(thread))  // NT_PRSTATUS
            let x = Array(thread.xstate)
            result += note("CORE", 2, Array(x.prefix(512)))  // NT_FPREGSET
            result += note("LINUX", 0x202, x)  // NT_X86_XSTATE
        }
        result += note("CORE", 6, Array(process.memory.auxiliaryVector))  // NT_AUXV
        result += note("CORE", 0x46494c45, files())  // NT_FILE
        return result
    }

    /// struct elf_prstatus: 112 bytes, the registers, fpvalid.
    private func status(_ thread: ImageThread) -> [UInt8] {
        var s = [UInt8](repeating: 0, count: 32)
        s += bytes(of: Int32(bitPattern: thread.tid)) + bytes(of: Int32(bitPattern: process.parentPid))
        s += bytes(of: Int32(bitPattern: process.group)) + bytes(of: Int32(bitPattern: process.session))
        s += [UInt8](repeating: 0, count: 64)
        s += Array(thread.registers)
        return s + bytes(of: Int32(1)) + bytes(of: Int32(0))
    }

    /// struct elf_prpsinfo.
    private func processInformation() -> [UInt8] {
        var p: [UInt8] = [0, UInt8(ascii: "R"), 0, 0, 0, 0, 0, 0] + bytes(of: UInt64(0))
        p +=
            bytes(of: process.threads.last?.credentials.uids.first ?? 0)
            + bytes(of: process.threads.last?.credentials.gids.first ?? 0)
        p +=
            bytes(of: process.pid) + bytes(of: process.parentPid) + bytes(of: process.group)
            + bytes(of: process.session)
        func text(_ s: String, _ n: Int) -> [UInt8] {
            let b = Array(s.utf8.prefix(n - 1))
            return b + [UInt8](repeating: 0, count: n - b.count)
        }
        return p + text(process.threads.first?.name ?? "", 16) + text(process.command, 80)
    }

    private func files() -> [UInt8] {
        let mapped = process.memory.mappings.filter { $0.backing == .file }
        var result = bytes(of: UInt64(mapped.count)) + bytes(of: UInt64(4096))
        for m in mapped {
            result += bytes(of: m.start) + bytes(of: m.start + m.bytes) + bytes(of: m.offset / 4096)
        }
        for m in mapped { result += Array(inventory.backingFiles[Int(m.object)].path.utf8) + [0] }
        return result
    }
}
