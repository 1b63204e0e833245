// SPDX-License-Identifier: Apache-2.0
import Foundation

/// Prints a value as JSON, keys sorted, snake_case: the documented shape of `--json`.
func printJSON(_ value: some Encodable) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    encoder.keyEncodingStrategy = .convertToSnakeCase
    Terminal.print(String(decoding: try encoder.encode(value), as: UTF8.self))
}
