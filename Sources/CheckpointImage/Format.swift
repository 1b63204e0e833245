// SPDX-License-Identifier: Apache-2.0

/// The image format's own version, independent of the tool's: see Schema/inventory.proto for
/// the rules, and docs/image-format.md for the layout.
public enum Format {
    public static let version: UInt32 = 1
    public static let pageBytes = 4096
    /// Unit of checksumming and of reading on demand. 64 KiB: a fault costs one small read, and
    /// the checksums of 4 GiB take 512 KiB.
    public static let blockBytes = 65536
    public static let manifestName = "manifest"
    public static let inventoryName = "inventory.pb"
    public static func nodeFolder(_ node: UInt32) -> String { "node-\(node)" }
}

/// What is wrong with a file of an image. The file's name is always in it.
public struct ImageError: Error, CustomStringConvertible, Equatable, Sendable {
    public let file: String
    public let reason: String

    public init(file: String, reason: String) {
        self.file = file
        self.reason = reason
    }

    public var description: String { "\(file): \(reason)" }
}
