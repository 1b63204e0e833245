import Foundation

/// Compares what a job printed in pieces with what it prints undisturbed.
package enum OutputComparison {
    /// Checkpointed and killed at one instant: not a byte missing, not a byte twice.
    package static func exact(first: String, rest: String, reference: String) throws {
        let cut = rest.isEmpty ? "" : " (the cut is at byte \(first.utf8.count))"
        try expect(
            first + rest == reference,
            "the output differs from that of the undisturbed run: "
                + difference(first + rest, reference) + cut)
    }

    /// The job went on after the cut: the two parts overlap, and both must be true.
    package static func overlapping(first: String, rest: String, reference: String) throws {
        try expect(
            reference.hasPrefix(first),
            "what the job printed until it was killed is not the beginning of the undisturbed "
                + "run: " + difference(first, reference))
        try expect(
            reference.hasSuffix(rest),
            "what the restart printed is not the end of the undisturbed run: "
                + backwardDifference(rest, reference))
        let covered = first.utf8.count + rest.utf8.count
        try expect(
            covered >= reference.utf8.count,
            "\(reference.utf8.count - covered) bytes were printed neither before the kill nor "
                + "after the restart")
    }

    package static func difference(_ got: String, _ expected: String) -> String {
        let a = got.split(separator: "\n", omittingEmptySubsequences: false)
        let b = expected.split(separator: "\n", omittingEmptySubsequences: false)
        for index in 0..<max(a.count, b.count) {
            let left = index < a.count ? "'\(a[index].prefix(120))'" : "nothing"
            let right = index < b.count ? "'\(b[index].prefix(120))'" : "nothing"
            if left != right {
                return "line \(index + 1) is \(left), expected \(right)"
            }
        }
        return "they are equal"
    }

    private static func backwardDifference(_ got: String, _ expected: String) -> String {
        let a = got.split(separator: "\n", omittingEmptySubsequences: false)
        let b = expected.split(separator: "\n", omittingEmptySubsequences: false)
        if a.count > b.count {
            return "\(a.count) lines, but the whole undisturbed run has \(b.count)"
        }
        for (index, pair) in zip(a.reversed(), b.reversed()).enumerated() where pair.0 != pair.1 {
            return "line \(a.count - index) of the restart is '\(pair.0.prefix(120))', "
                + "expected '\(pair.1.prefix(120))'"
        }
        return "they are equal"
    }
}
