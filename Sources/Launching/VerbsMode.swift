// SPDX-License-Identifier: Apache-2.0
import Glibc
import LinuxSystem

/// What a job's processes get as libibverbs.so.1.
public enum VerbsMode: String, Sendable, CaseIterable {
    /// The soft fabric, where this machine has no adapter and the library is there; else `off`.
    case auto
    /// What the machine has; Fermata refuses a job that opens an adapter.
    case off
    /// An adapter without hardware: shared memory within a host, TCP between hosts.
    case soft
    /// The machine's own adapters. Not there yet.
    case hardware

    /// Why a job cannot have the verbs that were asked for.
    public struct Unavailable: Error, CustomStringConvertible {
        public let description: String
    }

    /// The library to preload into the job; nil: none. Throws `Unavailable`. Any thread.
    public func library() throws(Unavailable) -> String? {
        switch self {
        case .off: return nil
        case .auto: return Self.hasAdapter ? nil : Self.installed
        case .soft:
            guard let library = Self.installed else {
                throw Unavailable(
                    description:
                        "--verbs soft: libibverbs.so.1 is not beside this program; build it: Launchers/build-verbs")
            }
            return library
        case .hardware:
            throw Unavailable(
                description: Self.hasAdapter
                    ? "--verbs hardware: jobs cannot be checkpointed on adapters yet; use soft, or off to use them without"
                    : "--verbs hardware: this machine has no InfiniBand adapter (/sys/class/infiniband); use --verbs soft")
        }
    }

    private static var hasAdapter: Bool {
        !((try? ProcFS.names(in: "/sys/class/infiniband")) ?? []).isEmpty
    }

    /// libibverbs.so as `Launchers/build-verbs` makes it: beside the tool, in lib/fermata beside its
    /// folder, or in the build folder.
    public static var installed: String? {
        guard let tool = ProcFS.link("/proc/self/exe"), let slash = tool.lastIndex(of: "/") else { return nil }
        let folder = tool[..<slash]
        let places = [
            "\(folder)/libibverbs.so.1", "\(folder)/../lib/fermata/libibverbs.so.1",
            "\(folder)/../../verbs/release/libibverbs.so.1", "\(folder)/../verbs/release/libibverbs.so.1",
        ]
        return places.first { access($0, R_OK) == 0 }.flatMap(resolved)
    }

    private static func resolved(_ path: String) -> String? {
        guard let real = realpath(path, nil) else { return nil }
        defer { free(real) }
        return String(cString: real)
    }
}
