// SPDX-License-Identifier: Apache-2.0

/// In which order, by whom and in which session the processes of an image are created, so that
/// ids, parents, sessions and groups come out as they were. Pure: tested without processes.
///
/// A child is born into its parent's session and group, and the only way into a new session is
/// to lead it (setsid(2)). So children that belong to the session their parent was born into are
/// made before the parent leads its own; an orphan is made in its session by way of a helper
/// that ends; a session or group whose leader is gone gets a helper in the leader's place.
public struct TreePlan: Equatable, Sendable {
    public struct Node: Equatable, Sendable {
        public var pid: Int32
        /// 0: the pod's first process.
        public var parent: Int32
        public var session: Int32
        public var group: Int32

        public init(pid: Int32, parent: Int32, session: Int32, group: Int32) {
            self.pid = pid
            self.parent = parent
            self.session = session
            self.group = group
        }
    }

    public enum Step: Equatable, Sendable {
        /// `creator` clones `pid` as its child; creator 0 is the pod's first process.
        case clone(pid: Int32, by: Int32)
        /// As `clone`, through a helper that ends at once, so that `pid` is an orphan.
        case cloneOrphan(pid: Int32, by: Int32)
        case lead(session: Int32)
        case join(pid: Int32, group: Int32)
        /// `helper` ends; its creator waits for it.
        case end(helper: Int32, creator: Int32)
    }

    public enum Failure: Error, Equatable, Sendable {
        /// No sequence of ordinary calls leads to this session and parent.
        case unreachable(pid: Int32)
    }

    public private(set) var steps: [Step] = []
    private let nodes: [Int32: Node]
    private let children: [Int32: [Int32]]
    private var placed: Set<Int32> = []
    /// Session that each placed process is in at this point of the plan.
    private var sessionNow: [Int32: Int32] = [0: 0]
    private var helpers: [Helper] = []
    private struct Helper: Equatable, Sendable { let pid: Int32; let creator: Int32 }

    public init(_ list: [Node]) throws(Failure) {
        nodes = Dictionary(uniqueKeysWithValues: list.map { ($0.pid, $0) })
        var children: [Int32: [Int32]] = [:]
        for node in list { children[node.parent, default: []].append(node.pid) }
        self.children = children.mapValues { $0.sorted() }
        for pid in self.children[0] ?? [] { try placeTop(pid) }
        for node in list where !placed.contains(node.pid) { throw .unreachable(pid: node.pid) }
        try joinGroups(list)
        for helper in helpers.reversed() {
            steps.append(.end(helper: helper.pid, creator: helper.creator))
        }
    }

    /// Session that `pid` has to be born into: its own, or, of a leader, the one that it left
    /// behind children in (they may be leaders themselves). nil: any.
    private func birth(_ pid: Int32) -> Int32? {
        let session = nodes[pid]!.session
        guard session == pid else { return max(session, 1) == 1 ? 0 : session }
        for child in children[pid] ?? [] {
            if let needed = birth(child), needed != pid { return needed }
        }
        return nil
    }

    private mutating func placeTop(_ pid: Int32) throws(Failure) {
        guard !placed.contains(pid) else { return }
        let session = birth(pid) ?? 0
        if session == 0 {
            try place(pid, by: 0, orphan: false)
        } else if let leader = nodes[session], leader.session == leader.pid {
            if !placed.contains(leader.pid) { try placeAncestors(of: leader.pid) }
            // Placing the leader may have placed this one already, as its child.
            guard !placed.contains(pid) else { return }
            try place(pid, by: leader.pid, orphan: true)
        } else {
            if sessionNow[session] == nil {
                steps.append(.clone(pid: session, by: 0))
                steps.append(.lead(session: session))
                sessionNow[session] = session
                helpers.append(Helper(pid: session, creator: 0))
            }
            try place(pid, by: session, orphan: true)
        }
    }

    private mutating func placeAncestors(of pid: Int32) throws(Failure) {
        var top = pid
        while let parent = nodes[top]?.parent, parent != 0 { top = parent }
        try placeTop(top)
        guard placed.contains(pid) else { throw .unreachable(pid: pid) }
    }

    private mutating func place(_ pid: Int32, by creator: Int32, orphan: Bool) throws(Failure) {
        guard let node = nodes[pid] else { throw .unreachable(pid: pid) }
        steps.append(orphan ? .cloneOrphan(pid: pid, by: creator) : .clone(pid: pid, by: creator))
        placed.insert(pid)
        let born = sessionNow[creator] ?? 0
        sessionNow[pid] = born
        let mine = children[pid] ?? []
        let leads = node.session == pid
        guard leads || node.session == born || (node.session <= 1 && born <= 1) else {
            throw .unreachable(pid: pid)
        }
        if leads {
            for child in mine where birth(child) == born && !placed.contains(child) {
                try place(child, by: pid, orphan: false)
            }
            steps.append(.lead(session: pid))
            sessionNow[pid] = pid
        }
        for child in mine where !placed.contains(child) { try place(child, by: pid, orphan: false) }
    }

    /// A leader that has moved to another group leads its own until everybody else is in theirs.
    private mutating func joinGroups(_ list: [Node]) throws(Failure) {
        let groups = Set(list.map(\.group))
        func leads(_ node: Node) -> Bool { groups.contains(node.pid) && node.session != node.pid }
        for node in list where leads(node) { steps.append(.join(pid: node.pid, group: node.pid)) }
        for node in list where !leads(node) { join(node) }
        var moved = list.filter { leads($0) && $0.group != $0.pid }
        while let next = moved.firstIndex(where: { node in !moved.contains { $0.group == node.pid } }) {
            join(moved.remove(at: next))
        }
        if let node = moved.first { throw .unreachable(pid: node.pid) }
    }

    private mutating func join(_ node: Node) {
        guard node.group != node.pid, node.group > 1 else { return }
        if nodes[node.group] == nil && sessionNow[node.group] == nil {
            steps.append(.clone(pid: node.group, by: node.pid))
            steps.append(.join(pid: node.group, group: node.group))
            sessionNow[node.group] = node.session
            helpers.append(Helper(pid: node.group, creator: node.pid))
        }
        steps.append(.join(pid: node.pid, group: node.group))
    }
}
