// SPDX-License-Identifier: Apache-2.0
import ProcessSnapshot

/// As much of the kernel as a process tree needs: fork(2), setsid(2), setpgid(2), exit(2),
/// wait(2), clone3(2) with a chosen id, and their refusals. Process 0 is the pod's first, and
/// adopts orphans.
struct ProcessModel {
    struct Process: Equatable {
        var parent: Int32
        var session: Int32
        var group: Int32
        var isZombie = false
    }

    struct Refused: Error, CustomStringConvertible {
        let description: String
        init(_ description: String) { self.description = description }
    }

    private(set) var processes: [Int32: Process] = [0: Process(parent: 0, session: 0, group: 0)]
    private var last: Int32

    /// Helpers get ids far from those of images.
    init(firstFree: Int32 = 2) { last = firstFree }

    /// The kernel gives no id out that a process, a group or a session still has.
    private func isUsed(_ id: Int32) -> Bool {
        processes[id] != nil || processes.values.contains { $0.group == id || $0.session == id }
    }

    private func living(_ pid: Int32) throws -> Process {
        guard let process = processes[pid], !process.isZombie else { throw Refused("ESRCH: \(pid)") }
        return process
    }

    /// `pid` 0: the next free one.
    @discardableResult
    mutating func fork(by creator: Int32, pid wanted: Int32 = 0) throws -> Int32 {
        let parent = try living(creator)
        var pid = wanted
        if wanted == 0 {
            while isUsed(last) { last += 1 }
            pid = last
        }
        guard !isUsed(pid) else { throw Refused("EEXIST: clone3 with id \(pid)") }
        processes[pid] = Process(parent: creator, session: parent.session, group: parent.group)
        return pid
    }

    mutating func setsid(_ pid: Int32) throws {
        _ = try living(pid)
        guard !processes.values.contains(where: { $0.group == pid }) else {
            throw Refused("EPERM: setsid by \(pid), a group with its id exists")
        }
        processes[pid]!.session = pid
        processes[pid]!.group = pid
    }

    mutating func setpgid(_ pid: Int32, _ group: Int32) throws {
        let process = try living(pid)
        guard process.session != pid else { throw Refused("EPERM: setpgid by \(pid), which leads its session") }
        // Group 0 is one outside of the pod: nobody can name it.
        guard group > 1 else { throw Refused("EPERM: setpgid(\(pid), \(group))") }
        let members = processes.values.filter { $0.group == group }
        guard group == pid || members.contains(where: { $0.session == process.session }) else {
            throw Refused("EPERM: setpgid(\(pid), \(group)), no such group in session \(process.session)")
        }
        processes[pid]!.group = group
    }

    mutating func exit(_ pid: Int32) throws {
        let process = try living(pid)
        for child in processes.keys where child != 0 && processes[child]!.parent == pid {
            processes[child]!.parent = 0
            if processes[child]!.isZombie { processes[child] = nil }
        }
        processes[pid] = process.parent == 0 ? nil : with(process) { $0.isZombie = true }
    }

    mutating func wait(_ parent: Int32, for child: Int32) throws {
        guard processes[child]?.parent == parent, processes[child]!.isZombie else { throw Refused("ECHILD") }
        processes[child] = nil
    }

    private func with(_ process: Process, _ change: (inout Process) -> Void) -> Process {
        var process = process
        change(&process)
        return process
    }

    // MARK: plans

    /// What capture would find.
    var image: [TreePlan.Node] {
        processes.filter { $0.key != 0 }.sorted { $0.key < $1.key }.map {
            TreePlan.Node(pid: $0.key, parent: $0.value.parent, session: $0.value.session, group: $0.value.group)
        }
    }

    /// What restart does.
    mutating func perform(_ step: TreePlan.Step) throws {
        switch step {
        case .clone(let pid, let creator): try fork(by: creator, pid: pid)
        case .cloneOrphan(let pid, let creator):
            let helper = try fork(by: creator)
            try fork(by: helper, pid: pid)
            try end(helper, creator)
        case .lead(let session): try setsid(session)
        case .join(let pid, let group): try setpgid(pid, group)
        case .end(let helper, let creator): try end(helper, creator)
        }
    }

    private mutating func end(_ helper: Int32, _ creator: Int32) throws {
        try exit(helper)
        if creator != 0 { try wait(creator, for: helper) }
    }
}
