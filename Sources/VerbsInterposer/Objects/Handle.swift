// SPDX-License-Identifier: Apache-2.0
import CVerbs

/// Zeroed memory for a structure that the application sees. Freed by free(3).
func allocateHandle<T>(_ type: T.Type) -> UnsafeMutablePointer<T> {
    calloc(1, MemoryLayout<T>.size)!.assumingMemoryBound(to: type)
}

/// Our object behind a handle of the application's.
func object<Object: AnyObject>(_ pointer: UnsafeMutableRawPointer, _ type: Object.Type) -> Object {
    Unmanaged<Object>.fromOpaque(pointer).takeUnretainedValue()
}

/// Gives up the reference that a handle holds to our object.
func release<Object: AnyObject>(_ object: Object) {
    Unmanaged.passUnretained(object).release()
}

/// Sets errno and gives nil: how calls that return a pointer fail.
func fail<T>(_ code: Int32) -> T? {
    errorNumber = code
    return nil
}
