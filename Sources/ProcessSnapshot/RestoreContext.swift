// SPDX-License-Identifier: Apache-2.0
import CheckpointImage
import Glibc
import ImageStore
import LinuxSystem
import Tracing

/// Why a restart is not possible; nothing of it is left behind.
public struct RestoreError: Error, CustomStringConvertible, Sendable {
    public let description: String
    public init(_ description: String) { self.description = description }
}

/// What restart puts in the place of what the job had from outside.
public struct RestoreOptions: Sendable {
    /// Read all memory before the job goes on.
    public var preload: Bool
    /// This program's descriptor for each slot of the image.
    public var slots: @Sendable (Int32) -> Int32?

    public init(preload: Bool, slots: @escaping @Sendable (Int32) -> Int32?) {
        self.preload = preload
        self.slots = slots
    }
}

/// What the parts of a restore share.
final class RestoreContext {
    let reader: ImageReader
    let inventory: ImageInventory
    let options: RestoreOptions
    /// The pod's root directory: paths are opened in its mount namespace.
    var root: Descriptor!
    var podPid: pid_t = 0
    /// Restored descriptions by index; nil where a process has to open it itself.
    var files: [Descriptor?] = []
    /// Files saved in the image, opened read-write under the name they have for now.
    var saved: [RestoredFile] = []
    var shared: [Descriptor?] = []
    /// Stubs by the pid the job sees.
    var stubs: [Int32: Stub] = [:]
    var outerPids: [Int32: pid_t] = [:]
    let siblings = SiblingThreads()
    /// The vDSO that the job had, if it is not this kernel's.
    var foreignVDSO: VDSO?
    /// Called with the master of the terminal that the supervisor is to relay.
    var supervisedMaster: Descriptor?

    struct RestoredFile {
        let path: String
        /// To be unlinked when every description of it is open.
        let temporary: Bool
    }

    init(reader: ImageReader, inventory: ImageInventory, options: RestoreOptions) {
        self.reader = reader
        self.inventory = inventory
        self.options = options
    }

    /// Opens an absolute path inside the pod.
    func open(_ path: String, _ flags: Int32, mode: mode_t = 0) throws(SystemError) -> Descriptor {
        try root.open(at: Self.relative(path), flags, mode: mode)
    }

    /// For openat(2) and friends below the pod's root.
    static func relative(_ path: String) -> String {
        let rest = path.drop { $0 == "/" }
        return rest.isEmpty ? "." : String(rest)
    }
}
