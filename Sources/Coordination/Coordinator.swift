// SPDX-License-Identifier: Apache-2.0

/// The coordinator's part of the barrier protocol. A value: events in, directives out; no I/O,
/// no clock, no randomness. The same code runs in `CoordinatorService` and in the simulator.
///
/// An epoch is committed exactly when the `writeManifest` directive succeeds, and that is given
/// only after every node has reported `persist` done.
public struct Coordinator: Sendable {
    public struct Deadlines: Equatable, Sendable {
        /// Milliseconds that a phase may take before the epoch is given up.
        public var phaseMilliseconds: Int
        /// For `persist`, which moves all the data.
        public var persistMilliseconds: Int

        public init(phaseMilliseconds: Int = 60_000, persistMilliseconds: Int = 3_600_000) {
            self.phaseMilliseconds = phaseMilliseconds
            self.persistMilliseconds = persistMilliseconds
        }
    }

    public enum Event: Equatable, Sendable {
        /// Somebody asks for a checkpoint.
        case begin(EpochNumber, Plan)
        /// The root of the tree reports for all nodes.
        case report(Report)
        /// The connection to the root of the tree is gone.
        case treeLost
        case deadline(EpochNumber, Phase)
        case manifestWritten(EpochNumber)
        case manifestFailed(EpochNumber, String)
    }

    public enum Directive: Equatable, Sendable {
        case send(Command)
        case setDeadline(EpochNumber, Phase, milliseconds: Int)
        case writeManifest(EpochNumber)
        case finished(EpochNumber, Outcome)
    }

    public enum Outcome: Equatable, Sendable {
        case committed
        /// The job runs on as before, the last good epoch stands.
        case failed(Failure)
        /// Committed, but ending the job (or letting it go on) then failed.
        case committedWith(Failure)
    }

    public struct Attempt: Equatable, Sendable {
        public let epoch: EpochNumber
        public let plan: Plan
        public internal(set) var phase: Phase
        public internal(set) var isCommitted = false
        /// What went wrong while the manifest was being written: until the writer has answered,
        /// nobody knows whether the epoch exists.
        public internal(set) var failedMeanwhile: Failure?
    }

    public private(set) var current: Attempt?
    private let deadlines: Deadlines

    public init(deadlines: Deadlines = Deadlines()) { self.deadlines = deadlines }

    public mutating func handle(_ event: Event) -> [Directive] {
        switch event {
        case .begin(let epoch, let plan): return begin(epoch, plan)
        case .report(.done(let phase, let epoch)): return done(phase, epoch)
        case .report(.failed(_, let epoch, let failure)): return fail(epoch, failure)
        case .treeLost:
            guard let attempt = current else { return [] }
            return fail(attempt.epoch, failure(attempt, "the connection to the agents is gone", 69))
        case .deadline(let epoch, let phase):
            guard let attempt = current, attempt.epoch == epoch, attempt.phase == phase else {
                return []
            }
            return fail(epoch, failure(attempt, "phase \(phase.rawValue) took too long", 75))
        case .manifestWritten(let epoch):
            guard var attempt = current, attempt.epoch == epoch, attempt.phase == .commit else {
                return []
            }
            attempt.isCommitted = true
            current = attempt
            if let failure = attempt.failedMeanwhile { return fail(epoch, failure) }
            return enter(.commit, attempt)
        case .manifestFailed(let epoch, let reason):
            guard let attempt = current, attempt.epoch == epoch, attempt.phase == .commit,
                !attempt.isCommitted
            else { return [] }
            return end(attempt, attempt.failedMeanwhile ?? failure(attempt, reason, 74))
        }
    }

    private func failure(_ attempt: Attempt, _ reason: String, _ code: Int32) -> Failure {
        Failure(node: 0, phase: attempt.phase, reason: reason, code: code)
    }

    private mutating func begin(_ epoch: EpochNumber, _ plan: Plan) -> [Directive] {
        guard current == nil else {
            let busy = Failure(
                node: 0, phase: .prepare, reason: "checkpoint \(current!.epoch) is still being written",
                code: 75)
            return [.finished(epoch, .failed(busy))]
        }
        current = Attempt(epoch: epoch, plan: plan, phase: .prepare)
        return enter(.prepare, current!)
    }

    private func enter(_ phase: Phase, _ attempt: Attempt) -> [Directive] {
        let limit = phase == .persist ? deadlines.persistMilliseconds : deadlines.phaseMilliseconds
        return [
            .setDeadline(attempt.epoch, phase, milliseconds: limit),
            .send(.enter(phase, attempt.epoch, attempt.plan)),
        ]
    }

    private mutating func done(_ phase: Phase, _ epoch: EpochNumber) -> [Directive] {
        guard var attempt = current, attempt.epoch == epoch, attempt.phase == phase else { return [] }
        guard let next = attempt.plan.next(after: phase) else {
            current = nil
            return [.finished(epoch, .committed)]
        }
        attempt.phase = next
        current = attempt
        // The manifest first: nodes are told of a commit that has happened.
        return next == .commit ? [.writeManifest(epoch)] : enter(next, attempt)
    }

    private mutating func fail(_ epoch: EpochNumber, _ failure: Failure) -> [Directive] {
        guard let attempt = current, attempt.epoch == epoch else { return [] }
        if attempt.phase == .commit && !attempt.isCommitted {
            current!.failedMeanwhile = attempt.failedMeanwhile ?? failure
            return []
        }
        return end(attempt, failure)
    }

    /// The job goes on everywhere; files go only of an epoch that will never be committed.
    private mutating func end(_ attempt: Attempt, _ failure: Failure) -> [Directive] {
        current = nil
        let outcome: Outcome = attempt.isCommitted ? .committedWith(failure) : .failed(failure)
        return [.send(.abort(attempt.epoch)), .finished(attempt.epoch, outcome)]
    }
}
