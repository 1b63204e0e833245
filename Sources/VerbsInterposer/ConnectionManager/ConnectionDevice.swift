// SPDX-License-Identifier: Apache-2.0
import CVerbs

/// The character device that librdmacm talks to, ABI 4 (rdma/rdma_user_cm.h, ucma.c in the kernel):
/// every command is one write(2) whose answer goes to an address inside it; poll(2) says POLLIN while
/// there are events. Open files of it are event channels.
enum ConnectionDevice {
    static var path: String { "/dev/infiniband/rdma_cm" }
    /// The misc major in Linux; minors of misc devices are given out at run time.
    static var major: UInt32 { 10 }
    static var minor: UInt32 { 58 }

    static func add(to tree: inout FileTree) {
        tree.add(device: path, major: major, minor: minor, open: { EventChannel.open($0) })
    }

    /// Answers one write(2) to a channel: its result, or -1 with errno. Not under the engine lock.
    static func command(_ channel: EventChannel, _ bytes: UnsafeRawPointer, _ count: Int) -> Int {
        let headerBytes = MemoryLayout<rdma_ucm_cmd_hdr>.size
        guard count >= headerBytes else { return failed(EINVAL) }
        let header = bytes.loadUnaligned(as: rdma_ucm_cmd_hdr.self)
        guard headerBytes + Int(header.in) <= count else { return failed(EINVAL) }
        let request = Request(
            bytes: bytes + headerBytes, count: Int(header.in), room: Int(header.out), channel: channel)
        let code =
            header.cmd == UInt32(RDMA_USER_CM_CMD_GET_EVENT)
            ? request.nextEvent() : Engine.locked { request.carryOut(header.cmd) }
        return code == 0 ? count : failed(code)
    }

    private static func failed(_ code: Int32) -> Int {
        errorNumber = code
        return -1
    }

    struct Request {
        let bytes: UnsafeRawPointer
        let count: Int
        /// Bytes of the answer that the caller has room for.
        let room: Int
        let channel: EventChannel

        /// The command's structure; what the caller, built for an older one, left out is zero.
        func load<T>(_ empty: T) -> T {
            var value = empty
            withUnsafeMutableBytes(of: &value) {
                $0.copyMemory(from: UnsafeRawBufferPointer(start: bytes, count: min(count, $0.count)))
            }
            return value
        }

        /// errno.
        func answer<T>(_ value: T, at address: UInt64, least: Int = 0) -> Int32 {
            let size = MemoryLayout<T>.size
            guard room >= (least == 0 ? size : least) else { return ENOSPC }
            return withUnsafeBytes(of: value) { bytes in
                var own = iovec(
                    iov_base: UnsafeMutableRawPointer(mutating: bytes.baseAddress), iov_len: min(room, size))
                var theirs = iovec(
                    iov_base: UnsafeMutableRawPointer(bitPattern: UInt(address)), iov_len: own.iov_len)
                return fabric_write_memory(fabric_thread(), &own, 1, &theirs, 1) == own.iov_len ? 0 : EFAULT
            }
        }

        /// What lies at an address of the caller's; nil: nothing that may be read. Both ways through
        /// the kernel, which survives an address that is none.
        func fetch<T>(_ empty: T, at address: UInt64) -> T? {
            var value = empty
            let isThere = withUnsafeMutableBytes(of: &value) { bytes in
                var own = iovec(iov_base: bytes.baseAddress, iov_len: bytes.count)
                var theirs = iovec(
                    iov_base: UnsafeMutableRawPointer(bitPattern: UInt(address)), iov_len: bytes.count)
                return fabric_read_memory(fabric_thread(), &own, 1, &theirs, 1) == bytes.count
            }
            return isThere ? value : nil
        }
    }
}
