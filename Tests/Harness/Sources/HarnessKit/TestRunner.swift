import Foundation
import Glibc
import Synchronization

/// Runs the chosen tests, some at a time, and reports one line for each.
package final class TestRunner: Sendable {
    private let tests: [TestCase]
    private let options: Options
    private let next = Mutex(0)
    private let hasSpoken = Mutex(false)
    private let totals = Mutex((passed: 0, failed: 0, skipped: 0))

    package init(tests: [TestCase], options: Options) {
        self.tests = tests
        self.options = options
    }

    /// The exit status for the harness: 0 only if none failed and at least one passed.
    package func run() -> Int32 {
        print("seed \(options.seed), \(tests.count) tests, tool \(options.fermata)")
        fflush(nil)
        let threads = (0..<min(options.jobs, max(tests.count, 1))).map { _ in
            let finished = DispatchSemaphore(value: 0)
            let thread = Thread { [self] in
                while let index = take() {
                    if let why = Namespaces.enterNetwork() {
                        sayOnce("no network namespace for each test (\(why)): ports may collide")
                    }
                    report(tests[index], perform(tests[index], serial: index + 1))
                }
                finished.signal()
            }
            thread.stackSize = 8 << 20
            thread.start()
            return finished
        }
        for finished in threads { finished.wait() }
        let (passed, failed, skipped) = totals.withLock { $0 }
        print("\(passed) passed, \(failed) failed, \(skipped) skipped")
        if failed == 0 && !options.keep {
            try? FileManager.default.removeItem(atPath: options.work)
        }
        return failed == 0 && passed > 0 ? 0 : 1
    }

    private func sayOnce(_ text: String) {
        let isFirst = hasSpoken.withLock { spoken in
            defer { spoken = true }
            return !spoken
        }
        if isFirst { print(text) }
    }

    private func take() -> Int? {
        next.withLock { index in
            guard index < tests.count else { return nil }
            index += 1
            return index - 1
        }
    }

    private struct Report {
        let outcome: Outcome
        let seconds: Double
        let notes: [String]
        let root: String
    }

    private func perform(_ test: TestCase, serial: Int) -> Report {
        let start = now()
        let context: TestContext
        do {
            context = try TestContext(name: test.name, serial: serial, options: options)
        } catch {
            let outcome = Outcome.failed("cannot make its folders: \(error)")
            return Report(outcome: outcome, seconds: 0, notes: [], root: options.work)
        }
        let outcome: Outcome
        do {
            try test.body(context)
            outcome = .passed
        } catch let skip as TestSkip {
            outcome = .skipped(skip.description)
        } catch {
            outcome = .failed("\(error)")
        }
        var keep = options.keep
        if case .failed = outcome { keep = true }
        context.cleanUp(keep: keep)
        return Report(
            outcome: outcome, seconds: now() - start, notes: context.notes, root: context.root)
    }

    private func report(_ test: TestCase, _ report: Report) {
        // One lock around counting and printing keeps the lines of one test together.
        totals.withLock { totals in
            let notes = report.notes.joined(separator: "; ")
            switch report.outcome {
            case .passed:
                totals.passed += 1
                let shown = options.verbose && !notes.isEmpty ? " [\(notes)]" : ""
                print("ok \(test.name) (\(String(format: "%.1f", report.seconds)) s)\(shown)")
            case .skipped(let reason):
                totals.skipped += 1
                print("skipped \(test.name): \(reason)")
            case .failed(let why):
                totals.failed += 1
                print("FAILED \(test.name): \(why)")
                if !notes.isEmpty { print("    drawn: \(notes)") }
                print("    folder: \(report.root)")
                print("    again: \(command(for: test))")
            }
            fflush(nil)
        }
    }

    /// The one command that repeats a test with the same random choices.
    private func command(for test: TestCase) -> String {
        var words = [CommandLine.arguments[0], "--fermata", options.fermata]
        if let conformance = options.conformance {
            words += ["--conformance", conformance]
        }
        words += options.all ? ["--all"] : []
        words += ["--programs", options.programs]
        words += ["--seed", "\(options.seed)", "--instants", "\(options.instants)"]
        let pattern = test.name.replacingOccurrences(of: ".", with: "\\.")
            .replacingOccurrences(of: "+", with: "\\+")
        words += ["--filter", "'^\(pattern)$'"]
        return words.joined(separator: " ")
    }
}
