// SPDX-License-Identifier: Apache-2.0

/// A barrier-separated step of a checkpoint.
public enum Phase: String, CaseIterable, Sendable, Comparable {
    /// Is all of this checkpointable? Is there space? Nothing is touched.
    case prepare
    /// Interposers hold new posts, virtual switches hold new frames.
    case quiesce
    /// Traffic under way is brought to rest, proven by equal counters.
    case drain
    /// Every thread stopped, every TCP socket locked.
    case freeze
    /// Registers, kernel objects and queues are read.
    case capture
    /// The job goes on.
    case resume
    /// Pages to storage, durable.
    case persist
    /// The manifest is in place.
    case commit
    /// The job is ended, because the checkpoint was asked to end it.
    case kill

    public static func < (a: Phase, b: Phase) -> Bool {
        allCases.firstIndex(of: a)! < allCases.firstIndex(of: b)!
    }

    /// The job stands still after this phase, until `resume` or `kill`.
    public var holdsJob: Bool { self >= .quiesce && self <= .capture }
}

/// What a checkpoint is to do, as far as the order of phases depends on it.
public struct Plan: Equatable, Sendable {
    /// Memory is written from copies after the job has gone on (fork mode).
    public var resumeBeforePersist: Bool
    /// The job ends when the epoch is committed.
    public var kill: Bool

    public init(resumeBeforePersist: Bool, kill: Bool) {
        self.resumeBeforePersist = resumeBeforePersist
        self.kill = kill
    }

    /// Phases in order. A job that is to be killed must not run past the cut: it stands still
    /// until the epoch is committed.
    public var phases: [Phase] {
        let start: [Phase] = [.prepare, .quiesce, .drain, .freeze, .capture]
        if kill { return start + [.persist, .commit, .kill] }
        return start
            + (resumeBeforePersist ? [.resume, .persist, .commit] : [.persist, .resume, .commit])
    }

    public func next(after phase: Phase) -> Phase? {
        let all = phases
        guard let i = all.firstIndex(of: phase), i + 1 < all.count else { return nil }
        return all[i + 1]
    }
}

/// Number of a checkpoint of a job, rising.
public typealias EpochNumber = UInt64
/// A node's index in the job, from 0.
public typealias NodeIndex = Int

/// From the coordinator down the tree.
public enum Command: Equatable, Sendable {
    case enter(Phase, EpochNumber, Plan)
    /// Undo: the job goes on, the epoch's files go away.
    case abort(EpochNumber)
    /// From an agent above that has lost touch: the job goes on, the epoch's files stay, because
    /// the coordinator has been told that they are durable and may be writing the manifest.
    case release(EpochNumber)
}

/// From an agent up the tree, for itself and everything below it.
public enum Report: Equatable, Sendable {
    case done(Phase, EpochNumber)
    case failed(Phase, EpochNumber, Failure)
}

/// Why a phase failed, and where.
public struct Failure: Error, Equatable, Sendable {
    public let node: NodeIndex
    public let phase: Phase
    /// A sentence for people.
    public let reason: String
    /// How the command should exit: 73, 74, 75, 77 (sysexits(3)).
    public let code: Int32

    public init(node: NodeIndex, phase: Phase, reason: String, code: Int32) {
        self.node = node
        self.phase = phase
        self.reason = reason
        self.code = code
    }
}
