// SPDX-License-Identifier: Apache-2.0
import Coordination
import Glibc
import Testing

func environment(_ name: String) -> UInt64? { getenv(name).flatMap { UInt64(String(cString: $0)) } }

/// What a failed run says: its seed, its options, the command that repeats it, and its end.
func explain(_ options: Options, _ violations: [String], _ trace: [String]) -> Comment {
    let end = trace.suffix(120).joined(separator: "\n")
    let found = violations.prefix(5).joined(separator: "\n")
    return Comment(rawValue: "\(found)\nOPTIONS \(options)\nREPEAT  \(options.command)\n\(end)")
}

/// Runs and, when an invariant broke, runs again with a trace (if `explains`: traces are slow).
func check(
    _ options: Options, explains: Bool, _ configure: (Cluster) -> Void = { _ in }
) -> Comment? {
    let cluster = Cluster(options)
    configure(cluster)
    cluster.run()
    guard !cluster.violations.isEmpty else { return nil }
    guard explains else { return "\(cluster.violations[0])" }
    let again = Cluster(options)
    configure(again)
    again.traces = true
    again.run()
    precondition(again.violations == cluster.violations, "a run must be a function of its seed")
    return explain(options, again.violations, again.trace)
}
