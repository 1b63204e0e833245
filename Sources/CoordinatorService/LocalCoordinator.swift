// SPDX-License-Identifier: Apache-2.0
import AgentService
import CheckpointImage
import Coordination
import Glibc
import ImageStore
import LinuxSystem
import ProcessSnapshot

/// Coordinator and agent of a job on one machine: both state machines and the interpreter of
/// their directives, on one thread. Messages between the two are function calls here; nothing
/// else differs from a cluster.
public final class LocalCoordinator {
    /// What a checkpoint came to.
    public struct Result: Sendable {
        public let epoch: EpochNumber
        /// nil: committed.
        public let failure: Failure?
        public let isCommitted: Bool
        public let folder: String
        public let timings: ImageTimings
        public let stages: [(name: String, nanoseconds: Int64)]
    }

    private var coordinator = Coordinator()
    private var agent = Agent(node: 0, tree: Tree(nodes: 1))
    private let node: NodeAgent
    private var mode = CaptureOptions.Mode.stop
    private var outcome: Coordinator.Outcome?
    private var folder = ""
    private let entered: (Phase) -> Void
    /// The highest number ever tried: an agent never goes back to one.
    private var lastEpoch: EpochNumber = 0
    private var deadline: (epoch: EpochNumber, phase: Phase, at: Int64)?

    /// `entered` is told of each phase as it begins.
    public init(node: NodeAgent, entered: @escaping (Phase) -> Void = { _ in }) {
        self.node = node
        self.entered = entered
    }

    /// One checkpoint from prepare to commit, on the calling thread.
    /// `free`: the lowest number that the store has not seen.
    public func checkpoint(
        free: EpochNumber, options: CaptureOptions, kill: Bool
    ) -> Result {
        let epoch = max(free, lastEpoch + 1)
        lastEpoch = epoch
        mode = options.mode
        outcome = nil
        var options = options
        // A job that is to be killed stays frozen until the commit: a copy would only cost time.
        if kill { options.mode = .stop }
        node.configure(options)
        let plan = Plan(resumeBeforePersist: options.mode == .fork, kill: kill)
        interpret(coordinator.handle(.begin(epoch, plan)))
        defer { node.finish() }
        var failure: Failure?
        var committed = true
        switch outcome {
        case .failed(let reason): (failure, committed) = (reason, false)
        case .committedWith(let reason): failure = reason
        case .committed: break
        case nil: committed = false
        }
        return Result(
            epoch: epoch, failure: failure, isCommitted: committed, folder: folder,
            timings: node.timings, stages: node.stages)
    }

    private func interpret(_ directives: [Coordinator.Directive]) {
        for directive in directives {
            switch directive {
            case .send(let command): interpret(agent.handle(.command(command)))
            case .setDeadline(let epoch, let phase, let milliseconds):
                deadline = (epoch, phase, Clock.monotonic() + Int64(milliseconds) * 1_000_000)
            case .writeManifest(let epoch): writeManifest(epoch)
            case .finished(_, let result): outcome = result
            }
        }
    }

    private func writeManifest(_ epoch: EpochNumber) {
        do {
            try node.commit(mode: mode)
            interpret(coordinator.handle(.manifestWritten(epoch)))
        } catch {
            interpret(coordinator.handle(.manifestFailed(epoch, classify(error).text)))
        }
    }

    private func interpret(_ directives: [Agent.Directive]) {
        for directive in directives {
            switch directive {
            case .perform(let phase, let epoch, _): perform(phase, epoch)
            case .abandon(let epoch): node.abandon(epoch)
            case .release(let epoch): node.release(epoch)
            case .report(let report): deliver(report)
            // One node has no children; and its frozen job cannot outlive its coordinator: the
            // kernel lets the tracees of a dead tracer run.
            case .forward, .setFrozenDeadline, .cancelFrozenDeadline: break
            }
        }
    }

    private func deliver(_ report: Report) {
        // A phase that ended after its deadline has missed it.
        if let deadline, Clock.monotonic() > deadline.at {
            self.deadline = nil
            interpret(coordinator.handle(.deadline(deadline.epoch, deadline.phase)))
        }
        interpret(coordinator.handle(.report(report)))
    }

    private func perform(_ phase: Phase, _ epoch: EpochNumber) {
        entered(phase)
        do {
            try node.perform(phase, epoch: epoch)
            folder = node.folder
            interpret(agent.handle(.performed(phase, epoch)))
        } catch {
            let (code, text) = classify(error)
            interpret(agent.handle(.failed(phase, epoch, reason: text, code: code)))
        }
    }
}
