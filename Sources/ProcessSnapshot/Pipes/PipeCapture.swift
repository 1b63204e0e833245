// SPDX-License-Identifier: Apache-2.0
import CheckpointImage
import Foundation
import Glibc
import LinuxSystem

/// Pipes and FIFOs (pipe(7), fifo(7)). The content is copied with tee(2), which leaves it there.
enum PipeCapture {
    static func capture(_ source: DescriptorSource, _ status: stat) throws -> ImageOpenFile {
        var pipe = ImagePipe()
        pipe.id = UInt64(status.st_ino)
        pipe.capacityBytes = UInt32(max(0, fcntl(source.handle.number, 1032)))  // F_GETPIPE_SZ
        pipe.fifo = source.link.hasPrefix("/")
        pipe.deleted = source.link.hasSuffix(" (deleted)")
        if source.info.flags & O_ACCMODE != O_WRONLY {
            try content(source, into: &pipe)
        }
        return .with {
            $0.pipe = pipe
            $0.path = FileCapture.name(source.link)
        }
    }

    private static func content(_ source: DescriptorSource, into pipe: inout ImagePipe) throws {
        var waiting: Int32 = 0
        try source.handle.control(UInt(FIONREAD), &waiting)
        guard waiting > 0 else { return }
        let (read, write) = try Descriptor.pipe()
        _ = fcntl(write.number, 1031, Int32(pipe.capacityBytes))  // F_SETPIPE_SZ
        let copied = try Kernel.call(
            .tee, Int(source.handle.number), Int(write.number), Int(Int32.max), 2,
            what: "copy the content of \(source.name)")  // SPLICE_F_NONBLOCK
        guard copied == Int(waiting) else {
            throw SystemError(code: EIO, operation: "copy the content of \(source.name)")
        }
        var buffer = [UInt8](repeating: 0, count: copied)
        var done = 0
        while done < copied {
            // A packet (O_DIRECT of the writer) is what one read(2) returns; a stream comes whole.
            let n = buffer.withUnsafeMutableBytes {
                Glibc.read(read.number, $0.baseAddress! + done, copied - done)
            }
            guard n > 0 else { throw SystemError(code: errno, operation: "read \(source.name)") }
            pipe.packets.append(UInt32(n))
            done += n
        }
        pipe.content = Data(buffer)
    }
}
