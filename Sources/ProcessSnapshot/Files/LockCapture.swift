// SPDX-License-Identifier: Apache-2.0
import CheckpointImage
import Glibc
import LinuxSystem

/// File locks held by the job: flock(2), fcntl(2) record locks, open file description locks.
/// They are in the "lock:" lines of fdinfo (proc(5)).
struct LockCapture {
    let context: CaptureContext

    /// `processes`: captured, with their descriptors.
    func capture(_ processes: [(pid: pid_t, image: ImageProcess)]) throws {
        var seen: Set<String> = []
        for (pid, image) in processes {
            for descriptor in image.descriptors {
                let info = try DescriptorInfo(pid: pid, descriptor: descriptor.number)
                for line in info.extra where line.key == "lock" {
                    guard let lock = try parse(line.value, pid, descriptor) else { continue }
                    let owner = lock.kind == .posix ? "\(lock.pid)" : "f\(lock.openFile)"
                    let key =
                        "\(owner) \(context.inventory.openFiles[Int(lock.openFile)].path) \(lock.start)"
                    if seen.insert(key).inserted { context.inventory.fileLocks.append(lock) }
                }
            }
        }
    }

    /// "1: POSIX  ADVISORY  WRITE 2411 00:2e:12345 0 EOF"
    private func parse(
        _ text: String, _ pid: pid_t, _ descriptor: ImageDescriptor
    ) throws -> ImageFileLock? {
        let fields = text.split(separator: " ").map(String.init)
        guard fields.count >= 8 else { return nil }
        var lock = ImageFileLock()
        switch fields[1] {
        case "FLOCK": lock.kind = .flock
        case "POSIX": lock.kind = .posix
        case "OFDLCK": lock.kind = .ofd
        case "LEASE", "DELEG":
            throw context.refusal(.lease, pid, "descriptor \(descriptor.number)")
        default: return nil
        }
        lock.write = fields[3] == "WRITE"
        // fdinfo shows a POSIX lock for its owner's descriptors only.
        lock.pid = UInt32(context.inner(pid))
        lock.openFile = descriptor.openFile
        lock.descriptor = descriptor.number
        lock.start = Int64(fields[6]) ?? 0
        lock.length = fields[7] == "EOF" ? 0 : (Int64(fields[7]) ?? 0) - lock.start + 1
        return lock
    }
}
