import Foundation
import Glibc

/// What /proc says about a process.
package struct ProcessEntry: Sendable {
    package let pid: pid_t
    package let name: String
    package let state: Character
    package let tracer: pid_t

    /// A process that is left in this state will never go on by itself.
    package var isHeld: Bool {
        state == "T" || state == "t" || tracer != 0
    }

    package var isGone: Bool {
        state == "Z" || state == "X"
    }
}

/// Finds processes by a variable in their environment.
///
/// The harness gives every test a mark of its own. Children inherit it, orphans and daemons keep it
/// and a restored process has it in its restored memory: it finds all that a test ever started,
/// also when the tool has lost them, and nothing else. No test kills by name.
package enum ProcessTable {
    package static let variable = "FERMATA_TEST_MARK"

    package static func entry(of pid: pid_t) -> ProcessEntry? {
        guard let text = try? String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8) else {
            return nil
        }
        var name = "?"
        var state: Character = "?"
        var tracer: pid_t = 0
        for line in text.split(separator: "\n") {
            let value = line.drop { $0 != ":" }.dropFirst().drop { $0 == "\t" || $0 == " " }
            if line.hasPrefix("Name:") {
                name = String(value)
            } else if line.hasPrefix("State:") {
                state = value.first ?? "?"
            } else if line.hasPrefix("TracerPid:") {
                tracer = pid_t(value) ?? 0
            }
        }
        return ProcessEntry(pid: pid, name: name, state: state, tracer: tracer)
    }

    /// All living processes whose mark starts with `prefix`.
    package static func marked(prefix: String) -> [ProcessEntry] {
        let wanted = Array("\(variable)=\(prefix)".utf8)
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return names.compactMap { pid_t($0) }.compactMap { pid in
            guard pid != getpid(), let data = readEnvironment(pid), contains(data, wanted),
                let entry = entry(of: pid), !entry.isGone
            else {
                return nil
            }
            return entry
        }
    }

    /// Where each thread of a test's processes waits, for the report of one that hangs.
    package static func whereabouts(prefix: String) -> String {
        marked(prefix: prefix).flatMap { entry -> [String] in
            let folder = "/proc/\(entry.pid)/task"
            let threads = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
            return threads.prefix(12).map { thread in
                let place = ["wchan", "syscall", "stack"].map { file in
                    readText("\(folder)/\(thread)/\(file)").split(separator: "\n").prefix(6)
                        .joined(separator: " < ")
                }
                return "\(entry.name) \(thread) (\(entry.state), tracer \(entry.tracer)): "
                    + place.joined(separator: "; ")
            }
        }.joined(separator: " || ")
    }

    /// TCP ports over IPv4 at which the test's processes of that name listen.
    package static func listeningPorts(prefix: String, name: String) -> [Int] {
        let processes = marked(prefix: prefix).filter { $0.name == name }
        guard let first = processes.first else { return [] }
        let sockets = processes.flatMap { entry -> [String] in
            let folder = "/proc/\(entry.pid)/fd"
            let files = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
            return files.compactMap {
                try? FileManager.default.destinationOfSymbolicLink(atPath: "\(folder)/\($0)")
            }
        }
        // "sl local_address rem_address st … inode", of which state 0A is LISTEN (proc(5)).
        return readText("/proc/\(first.pid)/net/tcp").split(separator: "\n").dropFirst().compactMap { line in
            let fields = line.split(separator: " ")
            guard fields.count > 9, fields[3] == "0A", sockets.contains("socket:[\(fields[9])]") else {
                return nil
            }
            return fields[1].split(separator: ":").last.flatMap { Int($0, radix: 16) }
        }
    }

    private static func contains(_ environment: [UInt8], _ wanted: [UInt8]) -> Bool {
        environment.split(separator: 0).contains { $0.starts(with: wanted) }
    }

    private static func readEnvironment(_ pid: pid_t) -> [UInt8]? {
        let file = open("/proc/\(pid)/environ", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var all: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16384)
        while true {
            let count = read(file, &buffer, buffer.count)
            if count <= 0 { break }
            all.append(contentsOf: buffer[..<count])
        }
        return all.isEmpty ? nil : all
    }

    /// Ends all of them as a power cut would: at one instant.
    ///
    /// First everything is stopped and only then killed. Otherwise the survivor of a pipeline sees
    /// its neighbour die and prints an ending that the undisturbed program never prints.
    package static func killAll(prefix: String, and others: [pid_t] = []) {
        for pid in others where pid > 1 { kill(pid, SIGSTOP) }
        var stopped: Set<pid_t> = Set(others)
        for _ in 0..<20 {
            let fresh = marked(prefix: prefix).filter { !stopped.contains($0.pid) }
            if fresh.isEmpty { break }
            for entry in fresh {
                kill(entry.pid, SIGSTOP)
                stopped.insert(entry.pid)
            }
        }
        for pid in stopped where pid > 1 { kill(pid, SIGKILL) }
        _ = poll(seconds: 10) {
            let left = marked(prefix: prefix)
            for entry in left { kill(entry.pid, SIGKILL) }
            return left.isEmpty ? true : nil
        }
    }
}
