import Foundation

/// Why a test failed, in words for the person who reads the one line of the report.
package struct TestFailure: Error, CustomStringConvertible {
    package let description: String

    package init(_ description: String) {
        self.description = description
    }
}

/// The machine lacks what the test needs. Not a failure, but never silent either.
package struct TestSkip: Error, CustomStringConvertible {
    package let description: String

    package init(_ description: String) {
        self.description = description
    }
}

/// The condition of a test: throws a failure with the text, which is only made when it is needed.
package func expect(
    _ condition: @autoclosure () throws -> Bool, _ why: @autoclosure () -> String
) throws {
    if try !condition() {
        throw TestFailure(why())
    }
}

package enum Outcome: Sendable {
    case passed
    case failed(String)
    case skipped(String)
}
