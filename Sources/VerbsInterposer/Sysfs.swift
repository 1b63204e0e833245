// SPDX-License-Identifier: Apache-2.0
import CVerbs

/// Where sysfs is, without a slash at the end. Programs put "/class/infiniband" behind it, and that
/// place is ours, so that SYSFS_PATH, which other versions honour, would lead them past it.
@c(fermata_ibv_get_sysfs_path)
public func sysfsPath() -> CPath {
    let path: StaticString = "/sys"
    return UnsafeRawPointer(path.utf8Start).assumingMemoryBound(to: CChar.self)
}

/// Reads an attribute, the newline at its end left out: the length, or -1. The text ends in a zero
/// if there is room.
@c(fermata_ibv_read_sysfs_file)
public func readSysfsFile(
    _ directory: CPath, _ file: CPath, _ buffer: CBuffer, _ size: Int
) -> Int32 {
    var path = Array(UnsafeBufferPointer(start: directory, count: strlen(directory)))
    path.append(CChar(bitPattern: UInt8(ascii: "/")))
    path += UnsafeBufferPointer(start: file, count: strlen(file) + 1)
    let descriptor = path.withUnsafeBufferPointer { openShim($0.baseAddress, O_RDONLY | O_CLOEXEC, 0) }
    if descriptor < 0 { return -1 }
    var length = read(descriptor, buffer, size)
    let number = errorNumber
    _ = close(descriptor)
    if length < 0 { return minus(number) }
    if length > 0, buffer[length - 1] == CChar(bitPattern: UInt8(ascii: "\n")) { length -= 1 }
    if length < size { buffer[length] = 0 }
    return Int32(length)
}
