// SPDX-License-Identifier: Apache-2.0
import CheckpointImage
import Glibc
import LinuxSystem
import Tracing

/// Takes file locks again. Those of a description can be taken by anybody who has it; POSIX
/// record locks belong to a process and are taken inside it.
struct LockRestore {
    let context: RestoreContext

    func restoreDescriptionLocks() throws {
        for lock in context.inventory.fileLocks {
            guard let handle = context.files[Int(lock.openFile)] else { continue }
            switch lock.kind {
            case .flock:
                let how = (lock.write ? Int32(LOCK_EX) : Int32(LOCK_SH)) | Int32(LOCK_NB)
                try Kernel.libc(Int(flock(handle.number, how)), "lock \(name(lock)) again")
            case .ofd:
                var request = structure(lock)
                let code = withUnsafeMutablePointer(to: &request) {
                    Kernel.raw(.fcntl, Int(handle.number), 37, Int(bitPattern: $0))  // F_OFD_SETLK
                }
                try Kernel.check(code, "lock \(name(lock)) again")
            default: break
            }
        }
    }

    func restoreProcessLocks() throws {
        for lock in context.inventory.fileLocks where lock.kind == .posix {
            guard let stub = context.stubs[Int32(lock.pid)] else { continue }
            let address = try stub.place(value: structure(lock))
            try stub.call(.fcntl, UInt64(lock.descriptor), 6, address, what: "lock \(name(lock)) again")  // F_SETLK
        }
    }

    private func name(_ lock: ImageFileLock) -> String {
        context.inventory.openFiles[Int(lock.openFile)].path
    }

    private func structure(_ lock: ImageFileLock) -> flock {
        var result = Glibc.flock()
        result.l_type = lock.write ? 1 : 0  // F_WRLCK, F_RDLCK
        result.l_whence = 0
        result.l_start = Int(lock.start)
        result.l_len = Int(lock.length)
        return result
    }
}
