// SPDX-License-Identifier: Apache-2.0
import CVerbs

// write, close and fstat of descriptors that stand for the connection manager's device. All others go
// straight on; the look costs one load.

private typealias Write = @convention(c) (Int32, UnsafeRawPointer?, Int) -> Int
private typealias Close = @convention(c) (Int32) -> Int32
private typealias FStat = @convention(c) (Int32, StatBuffer?) -> Int32

private let nextWrite = NextFunction("write")
private let nextClose = NextFunction("close")
private let nextFstat = NextFunction("fstat")
private let nextFstat64 = NextFunction("fstat64")

@c(write) public func writeShim(
    _ descriptor: Int32, _ bytes: UnsafeRawPointer?, _ count: Int
) -> Int {
    if EventChannel.isOne(descriptor), let bytes, let channel = EventChannel.of(descriptor) {
        return ConnectionDevice.command(channel, bytes, count)
    }
    guard let pointer = nextWrite.pointer else { return Int(minus(ENOSYS)) }
    return unsafeBitCast(pointer, to: Write.self)(descriptor, bytes, count)
}

@c(close) public func closeShim(_ descriptor: Int32) -> Int32 {
    if EventChannel.isOne(descriptor) { EventChannel.closing(descriptor) }
    guard let pointer = nextClose.pointer else { return minus(ENOSYS) }
    return unsafeBitCast(pointer, to: Close.self)(descriptor)
}

@inline(__always)
private func fstat(
    _ next: borrowing NextFunction, _ descriptor: Int32, _ out: StatBuffer?
) -> Int32 {
    if EventChannel.isOne(descriptor), let out {
        let (tree, found) = ConnectionDevice.path.withCString { VirtualFiles.lookUp($0) }
        if case .entry(let index) = found {
            Status(tree, index).fill(out)
            return 0
        }
    }
    guard let pointer = next.pointer else { return minus(ENOSYS) }
    return unsafeBitCast(pointer, to: FStat.self)(descriptor, out)
}

@c(fstat) public func fstatShim(_ descriptor: Int32, _ out: StatBuffer?) -> Int32 {
    fstat(nextFstat, descriptor, out)
}

@c(fstat64) public func fstat64Shim(_ descriptor: Int32, _ out: StatBuffer?) -> Int32 {
    fstat(nextFstat64, descriptor, out)
}
