// SPDX-License-Identifier: Apache-2.0
import LinuxSystem

/// A reference to a checkpoint that the store does not have.
public struct NoSuchCheckpoint: Error, CustomStringConvertible {
    public let description: String
}

/// A store in which no folder can be made for a checkpoint.
public struct StoreUnusable: Error, CustomStringConvertible {
    let cause: SystemError

    public var description: String { "\(cause); choose another folder with --store" }
}
