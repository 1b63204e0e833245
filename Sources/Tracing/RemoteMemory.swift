// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
import LinuxSystem

/// Memory of another process through /proc/PID/mem, which a tracer may also write where the
/// process itself may not (FOLL_FORCE). Any thread may use it.
public struct RemoteMemory: Sendable {
    public let pid: pid_t
    let descriptor: Descriptor

    public init(pid: pid_t) throws(SystemError) {
        self.pid = pid
        descriptor = try Descriptor.open("/proc/\(pid)/mem", O_RDWR)
    }

    public func read(_ address: UInt64, count: Int) throws(SystemError) -> [UInt8] {
        var result = [UInt8](repeating: 0, count: count)
        let outcome = result.withUnsafeMutableBytes { self.tryRead(address, into: $0) }
        if let error = outcome { throw error }
        return result
    }

    public func read(
        _ address: UInt64, into bytes: UnsafeMutableRawBufferPointer
    ) throws(SystemError) {
        if let error = tryRead(address, into: bytes) { throw error }
    }

    private func tryRead(
        _ address: UInt64, into bytes: UnsafeMutableRawBufferPointer
    ) -> SystemError? {
        do throws(SystemError) {
            try descriptor.read(into: bytes, at: Int64(bitPattern: address))
            return nil
        } catch {
            return SystemError(
                code: error.code,
                operation: "read memory of process \(pid) at 0x\(String(address, radix: 16))")
        }
    }

    public func value<T: BitwiseCopyable>(
        _ type: T.Type, at address: UInt64
    ) throws(SystemError) -> T {
        LinuxSystem.value(type, from: try read(address, count: MemoryLayout<T>.size))
    }

    public func write(_ bytes: UnsafeRawBufferPointer, at address: UInt64) throws(SystemError) {
        do throws(SystemError) {
            try descriptor.write(bytes, at: Int64(bitPattern: address))
        } catch {
            throw SystemError(
                code: error.code,
                operation: "write memory of process \(pid) at 0x\(String(address, radix: 16))")
        }
    }

    public func write(_ bytes: [UInt8], at address: UInt64) throws(SystemError) {
        var outcome: SystemError?
        bytes.withUnsafeBytes { buffer in
            do throws(SystemError) { try write(buffer, at: address) } catch { outcome = error }
        }
        if let outcome { throw outcome }
    }

    public func write<T: BitwiseCopyable>(value: T, at address: UInt64) throws(SystemError) {
        try write(bytes(of: value), at: address)
    }
}
