// SPDX-License-Identifier: Apache-2.0
import Glibc

/// What a person sees: messages, a progress line, tables, numbers with units.
enum Terminal {
    static let errorIsTerminal = isatty(2) == 1
    private static let colour = errorIsTerminal && getenv("NO_COLOR") == nil

    static func error(_ text: String) {
        clearProgress()
        write((colour ? "\u{1b}[1;31mfermata:\u{1b}[0m " : "fermata: ") + text + "\n", to: 2)
    }

    static func note(_ text: String) {
        clearProgress()
        write("fermata: " + text + "\n", to: 2)
    }

    static func print(_ text: String) { write(text + "\n", to: 1) }

    nonisolated(unsafe) private static var progressShown = false

    /// Replaces the progress line; shown on a terminal only.
    static func progress(_ text: String) {
        guard errorIsTerminal else { return }
        write("\r\u{1b}[K" + text, to: 2)
        progressShown = true
    }

    static func clearProgress() {
        guard progressShown else { return }
        write("\r\u{1b}[K", to: 2)
        progressShown = false
    }

    private static func write(_ text: String, to number: Int32) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let n = rest.withUnsafeBytes { Glibc.write(number, $0.baseAddress, $0.count) }
            guard n > 0 else { return }
            rest = rest.dropFirst(n)
        }
    }

    // MARK: numbers

    static func fixed(_ value: Double, _ digits: Int) -> String {
        var factor = 1.0
        for _ in 0..<digits { factor *= 10 }
        let scaled = Int64((abs(value) * factor).rounded())
        let whole = scaled / Int64(factor)
        let sign = value < 0 && scaled != 0 ? "-" : ""
        guard digits > 0 else { return sign + "\(whole)" }
        let fraction = String(scaled % Int64(factor))
        return sign + "\(whole)." + String(repeating: "0", count: digits - fraction.count) + fraction
    }

    static func count(_ n: UInt32, _ one: String, _ several: String) -> String {
        "\(n) \(n == 1 ? one : several)"
    }

    static func bytes(_ count: UInt64) -> String {
        let units = ["B", "KiB", "MiB", "GiB", "TiB"]
        var value = Double(count)
        var unit = 0
        while value >= 1024 && unit < 4 { value /= 1024; unit += 1 }
        return fixed(value, unit == 0 ? 0 : 1) + " " + units[unit]
    }

    static func duration(_ nanoseconds: UInt64) -> String {
        let ms = Double(nanoseconds) / 1e6
        return ms < 1000 ? fixed(ms, ms < 10 ? 2 : 1) + " ms" : fixed(ms / 1000, 2) + " s"
    }

    static func rate(_ bytes: UInt64, _ nanoseconds: UInt64) -> String {
        guard nanoseconds > 0 else { return "-" }
        return self.bytes(UInt64(Double(bytes) / (Double(nanoseconds) / 1e9))) + "/s"
    }

    /// A command as one line, whatever line breaks its arguments have.
    static func line(_ text: String) -> String {
        String(text.map { $0.isNewline ? "\u{23ce}" : $0 })
    }

    /// Columns aligned; the first row is the heading.
    static func table(_ rows: [[String]]) -> String {
        let rows = rows.map { $0.map(line) }
        guard let columns = rows.map(\.count).max() else { return "" }
        let widths = (0..<columns).map { c in rows.map { c < $0.count ? $0[c].count : 0 }.max() ?? 0 }
        return rows.map { row in
            var line = ""
            for (c, cell) in row.enumerated() {
                line += cell
                if c < row.count - 1 {
                    line += String(repeating: " ", count: widths[c] - cell.count + 2)
                }
            }
            return line
        }.joined(separator: "\n")
    }
}
