// SPDX-License-Identifier: Apache-2.0
import CLinux
import CoordinatorService
import Glibc
import ImageStore
import LinuxSystem
import ProcessSnapshot

/// Where the job's processes get the memory that their verbs share (`Segment` of the interposer): a
/// memfd, given to whoever belongs to the job and to nobody else. One
/// thread at a time: it is made on that which restores the job, and answers on the supervisor's.
public final class VerbsDoor: @unchecked Sendable {
    let listener: Descriptor
    private let path: String
    private let view: JobView
    private var segment: VerbsSegment?

    /// `path`: FERMATA_VERBS in the job. Its folder is made if it is gone, as after a restart
    /// elsewhere.
    init(path: String, view: JobView) throws {
        self.path = path
        self.view = view
        try makeParent(of: path)
        listener = try ControlChannel.listen(path)
    }

    /// Where the original's door was; nil when the job uses no verbs. While nothing of it runs.
    public convenience init?(restored job: RestoredJob) throws {
        let view = job.view(OwnProcesses())
        guard let path = Self.path(in: view) else { return nil }
        try self.init(path: path, view: view)
    }

    deinit { unlink(path) }

    /// What FERMATA_VERBS is in a restored job; nil when it uses no verbs.
    private static func path(in view: JobView) -> String? {
        let mark = Array("FERMATA_VERBS=".utf8)
        for pid in view.processes() {
            guard let environment = try? ProcFS.read("/proc/\(pid)/environ"),
                let entry = environment.split(separator: 0).first(where: { $0.starts(with: mark) })
            else { continue }
            return String(decoding: entry.dropFirst(mark.count), as: UTF8.self)
        }
        return nil
    }

    /// Serves one process that has knocked.
    func answer() {
        let fd = accept(listener.number, nil, nil)
        guard fd >= 0 else { return }
        _ = fcntl(fd, F_SETFD, FD_CLOEXEC)
        let channel = Descriptor(owning: fd)
        guard let peer = ControlChannel(channel).peer, view.processes().contains(peer),
            let segment = try? theSegment()
        else { return }
        _ = fermata_send_descriptors(channel.number, 1, [segment.descriptor.number], 1)
    }

    /// The job's segment: what a process of the job has mapped, else a new one.
    private func theSegment() throws -> VerbsSegment {
        if let segment { return segment }
        let found = try VerbsSegment.mapped(in: view) ?? .fresh()
        segment = found
        return found
    }
}

/// What the soft adapter is connected to, for programs that behave differently. Decided when a job's
/// first process opens the adapter, and kept over restarts.
public enum LinkLayer: String, Sendable, CaseIterable {
    case infiniband
    /// RoCE v2: no LIDs, every address has a GID.
    case ethernet
}
