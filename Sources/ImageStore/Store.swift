// SPDX-License-Identifier: Apache-2.0
import CLinux
import CheckpointImage
import Glibc
import LinuxSystem

/// A folder of checkpoints: `<root>/<job>/<epoch>/`. An epoch exists exactly when its manifest
/// does; anything else in an epoch's folder is the remains of an attempt.
public struct Store: Sendable {
    public let root: String

    public init(root: String) { self.root = root }

    /// Flag, then FERMATA_STORE, then the user's data folder.
    public static func locate(_ flag: String?, environment: (String) -> String?) -> Store {
        if let flag { return Store(root: absolute(flag)) }
        if let value = environment("FERMATA_STORE"), !value.isEmpty {
            return Store(root: absolute(value))
        }
        if let data = environment("XDG_DATA_HOME"), !data.isEmpty {
            return Store(root: data + "/fermata")
        }
        return Store(root: (environment("HOME") ?? "/root") + "/.local/share/fermata")
    }

    private static func absolute(_ path: String) -> String {
        if path.hasPrefix("/") { return path }
        guard let cwd = getcwd(nil, 0) else { return path }
        defer { free(cwd) }
        return String(cString: cwd) + "/" + path
    }

    public func folder(_ job: String) -> String { "\(root)/\(job)" }
    public func folder(_ job: String, _ epoch: UInt64) -> String { "\(root)/\(job)/\(epoch)" }

    /// Names of jobs that have at least a folder here; none if there is no store yet.
    public func jobs() throws(SystemError) -> [String] {
        do { return try ProcFS.names(in: root) } catch {
            if error.code == ENOENT { return [] }
            throw error
        }
    }

    /// Committed epochs of a job, ascending.
    public func epochs(_ job: String) -> [UInt64] {
        ((try? ProcFS.numbers(in: folder(job))) ?? []).map(UInt64.init).filter {
            access(folder(job, $0) + "/" + Format.manifestName, F_OK) == 0
        }.sorted()
    }

    /// The next unused number: above every folder, also of failed attempts.
    public func nextEpoch(_ job: String) -> UInt64 {
        UInt64((try? ProcFS.numbers(in: folder(job)))?.last ?? 0) + 1
    }

    /// Parses `JOB` or `JOB@EPOCH`; without an epoch the last committed one. Throws
    /// `NoSuchCheckpoint`, or `ImageError` when there are only remains of checkpoints.
    public func resolve(_ reference: String) throws -> (job: String, epoch: UInt64) {
        let parts = reference.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false)
        let job = String(parts[0])
        let known = epochs(job)
        if parts.count == 2 {
            guard let epoch = UInt64(parts[1]), known.contains(epoch) else {
                throw NoSuchCheckpoint(
                    description: "\(folder(job)): has no checkpoint '\(parts[1])'; there are: "
                        + (known.isEmpty ? "none" : known.map(String.init).joined(separator: ", ")))
            }
            return (job, epoch)
        }
        if let last = known.last { return (job, last) }
        let attempts = ((try? ProcFS.numbers(in: folder(job))) ?? []).map {
            "\(folder(job, UInt64($0)))/\(Format.manifestName)"
        }
        let reason = "has no committed checkpoint"
        guard !attempts.isEmpty else { throw NoSuchCheckpoint(description: "\(folder(job)): \(reason)") }
        throw ImageError(
            file: folder(job), reason: reason + "; there is no " + attempts.joined(separator: ", no "))
    }

    /// Removes an epoch: the manifest first, so that it is gone before it is incomplete.
    public func remove(_ job: String, _ epoch: UInt64) {
        let folder = folder(job, epoch)
        unlink(folder + "/" + Format.manifestName)
        removeTree(folder)
    }

    /// Folders without a manifest, left by attempts that failed or were killed.
    public func removeRemains(_ job: String) {
        let complete = Set(epochs(job))
        for number in (try? ProcFS.numbers(in: folder(job))) ?? []
        where !complete.contains(UInt64(number)) {
            removeTree(folder(job, UInt64(number)))
        }
    }

    /// Keeps the newest `count` committed epochs.
    public func retain(_ job: String, count: Int) {
        for epoch in epochs(job).dropLast(max(1, count)) { remove(job, epoch) }
    }
}

/// Deletes a folder and what is in it. Errors are ignored: what stays is cleaned next time.
public func removeTree(_ path: String) {
    var info = stat()
    guard lstat(path, &info) == 0 else { return }
    if info.st_mode & S_IFMT == S_IFDIR {
        for name in (try? ProcFS.names(in: path)) ?? [] { removeTree(path + "/" + name) }
        rmdir(path)
    } else {
        unlink(path)
    }
}

/// mkdir -p with the given mode for what is new.
public func makeFolders(_ path: String, mode: mode_t = 0o700) throws(SystemError) {
    if mkdir(path, mode) == 0 || errno == EEXIST { return }
    guard errno == ENOENT else { throw SystemError(code: errno, operation: "create folder \(path)") }
    try makeParent(of: path, mode: mode)
    guard mkdir(path, mode) == 0 || errno == EEXIST else {
        throw SystemError(code: errno, operation: "create folder \(path)")
    }
}

/// mkdir -p for the directory that `path` is to be in.
public func makeParent(of path: String, mode: mode_t = 0o700) throws(SystemError) {
    guard let slash = path.lastIndex(of: "/"), slash != path.startIndex else { return }
    try makeFolders(String(path[..<slash]), mode: mode)
}

/// Makes a directory's entries durable.
public func syncFolder(_ path: String) throws(SystemError) {
    let folder = try Descriptor.open(path, O_RDONLY | O_DIRECTORY)
    try Kernel.libc(Int(fsync(folder.number)), "fsync \(path)")
}
