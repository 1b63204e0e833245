import Foundation
import Glibc

/// The command line of `fermata-tests`.
package struct Options: Sendable {
    package var fermata = ""
    package var conformance: String?
    package var repository: String
    package var programs: String
    package var seed: UInt64 = 1
    package var instants = 3
    package var all = false
    package var filter: String?
    package var tags: Set<String> = []
    package var jobs = 1
    package var list = false
    package var help = false
    package var keep = false
    package var plain = false
    package var verbose = false
    package var work: String
    package var patience = 1.0

    /// Coordinators killed at random instants, and bytes flipped in images: what the acceptance
    /// asks for with `--all`, a look at the same otherwise.
    package var kills: Int { all ? 100 : 5 }
    package var flips: Int { all ? 200 : 20 }

    /// The beginning of every mark of this run.
    package var markPrefix: String { "ft\(getpid())-" }

    package static let usage = """
        usage: fermata-tests --fermata PATH [options]

          --fermata PATH       the tool under test (or FERMATA in the environment)
          --conformance DIR    folder of compiled conformance programs; without it that group is
                               left out
          --programs DIR       where the programs of group `jobs` are built (default:
                               .build/test-jobs in the repository)
          --seed N             seed of all random choices (default 1)
          --instants K         random instants per program (default 3)
          --all                20 instants per program (100 of verbs), 100 kills of coordinators, 200 flipped bytes
          --filter REGEX       only tests whose name matches
          --tag TAG            only tests with this tag (may be given several times)
          --jobs N             tests at a time (default 1)
          --patience F         multiplies every time limit (default 1)
          --work DIR           where the folders of the tests go (default /tmp/ft.PID)
          --keep               do not remove the folders of passed tests
          --plain              run the programs of `jobs` without the tool, to check the programs
          --verbose            print what each test drew
          --list               print the names and tags, run nothing
          --help               this text

        """

    package init(_ arguments: [String], repository: String) throws {
        self.repository = repository
        programs = repository + "/.build/test-jobs"
        work = "/tmp/ft.\(getpid())"
        let environment = ProcessInfo.processInfo.environment
        fermata = environment["FERMATA"] ?? ""
        var rest = arguments[...]
        func value(_ name: String) throws -> String {
            guard let value = rest.popFirst() else { throw UsageError("\(name) needs a value") }
            return value
        }
        func number<Number: LosslessStringConvertible>(_ name: String) throws -> Number {
            let text = try value(name)
            guard let number = Number(text) else { throw UsageError("\(name): '\(text)'") }
            return number
        }
        while let name = rest.popFirst() {
            switch name {
            case "--fermata": fermata = try value(name)
            case "--conformance": conformance = try absolute(value(name))
            case "--programs": programs = try absolute(value(name))
            case "--seed": seed = try number(name)
            case "--instants": instants = try number(name)
            case "--all": (instants, all) = (20, true)
            case "--filter": filter = try value(name)
            case "--tag": tags.insert(try value(name))
            case "--jobs": jobs = max(1, try number(name))
            case "--patience": patience = try number(name)
            case "--work": work = try absolute(value(name))
            case "--keep": keep = true
            case "--plain": plain = true
            case "--verbose": verbose = true
            case "--list": list = true
            case "--help", "-h": help = true
            default: throw UsageError("unknown option '\(name)'")
            }
        }
        if !fermata.isEmpty {
            fermata = absolute(fermata)
        }
    }
}

package struct UsageError: Error, CustomStringConvertible {
    package let description: String
    init(_ description: String) { self.description = description }
}

private func absolute(_ path: String) -> String {
    URL(fileURLWithPath: path).standardizedFileURL.path
}
