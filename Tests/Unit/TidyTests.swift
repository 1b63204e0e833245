// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// The repository itself: what a reader may rely on in every file.
@Suite struct TidyTests {
    static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    struct Source: CustomTestStringConvertible, Sendable {
        let path: String
        let lines: [Substring]
        var testDescription: String { path }
    }

    static func sources(_ folder: String, _ extensions: Set<String>) -> [Source] {
        let base = root.appendingPathComponent(folder)
        let names = FileManager.default.enumerator(atPath: base.path)?.compactMap { $0 as? String } ?? []
        return names.sorted().compactMap { name in
            guard extensions.contains((name as NSString).pathExtension), !name.contains("Generated/"),
                !name.contains(".build/"),
                let text = try? String(contentsOf: base.appendingPathComponent(name), encoding: .utf8)
            else { return nil }
            return Source(path: "\(folder)/\(name)", lines: text.split(separator: "\n", omittingEmptySubsequences: false))
        }
    }

    static let code: Set<String> = ["swift", "c", "h", "proto"]
    static let product = sources("Sources", code)
    static let tests = sources("Tests/Unit", code) + sources("Tests/Simulation", code)

    @Test func thereIsSomethingToRead() { #expect(Self.product.count > 50) }

    @Test("At most 110 columns, sentences for people apart")
    func columns() {
        for source in Self.product {
            for (i, line) in source.lines.enumerated() where line.count > 110 && !line.contains("\"") {
                Issue.record("\(source.path):\(i + 1): \(line.count) columns")
            }
        }
    }

    @Test("At most 600 lines")
    func length() {
        for source in Self.product + Self.tests {
            #expect(source.lines.count <= 601, "\(source.path)")
        }
    }

    @Test("The licence is the first line")
    func licence() {
        for source in Self.product + Self.tests {
            #expect(source.lines.first == "// SPDX-License-Identifier: Apache-2.0", "\(source.path)")
        }
    }

    @Test("No promises")
    func promises() {
        let words = ["TO" + "DO", "FIX" + "ME", "XX" + "X:", "HA" + "CK"]
        for source in Self.product + Self.tests {
            for (i, line) in source.lines.enumerated() {
                for word in words where line.contains(word) {
                    Issue.record("\(source.path):\(i + 1): \(word)")
                }
            }
        }
    }

    @Test("No tabs, no blanks at the end, one newline at the end")
    func whitespace() {
        for source in Self.product + Self.tests {
            for (i, line) in source.lines.enumerated() {
                #expect(!line.contains("\t"), "\(source.path):\(i + 1)")
                #expect(line.last != " ", "\(source.path):\(i + 1)")
            }
            #expect(source.lines.last == "" && source.lines.dropLast().last != "", "\(source.path)")
        }
    }

    /// Swift reaches the members of a C union through a copy: it would lock the copy of a mutex, and
    /// write it back over what another thread has made of the union meanwhile.
    @Test("No unions in what the interposer shares")
    func unions() {
        let shared = Self.product.filter { $0.path.hasSuffix(".h") && $0.path.contains("/CFabric/") }
            + Self.product.filter { $0.path.hasSuffix("/Fabric.h") }
        #expect(shared.count == 2)
        for source in shared {
            for (i, line) in source.lines.enumerated() where line.contains("union {") {
                Issue.record("\(source.path):\(i + 1): a union")
            }
        }
    }

    @Test("Every C file says why it is C")
    func reasons() {
        for source in Self.product where source.path.hasSuffix(".c") {
            #expect(source.lines.dropFirst().first?.hasPrefix("// C because: ") == true, "\(source.path)")
        }
    }

    // MARK: modules

    struct Target {
        let name: String
        let dependencies: [String]
        /// Of other packages.
        let products: [String]
    }

    /// Targets of the manifest in its order. Its text, because describing the package takes a
    /// compiler, and the texts are ours.
    static func targets() throws -> [Target] {
        let text = try String(contentsOf: root.appendingPathComponent("Package.swift"), encoding: .utf8)
        let declarations = try #require(text.components(separatedBy: "targets: [\n").last)
            .replacing(#/\/\/.*/#, with: "")
            .components(separatedBy: "arget(").dropFirst()
        return try declarations.map { declaration in
            let name = try #require(declaration.firstMatch(of: #/name: "(\w+)"/#)).1
            let list = declaration.firstMatch(of: #/dependencies: \[([^\]]*)\]/#)?.1 ?? ""
            let own = list.replacing(#/\.product\([^)]*\)/#, with: "")
            return Target(
                name: String(name), dependencies: own.matches(of: #/"(\w+)"/#).map { String($0.1) },
                products: list.matches(of: #/\.product\(name: "(\w+)"/#).map { String($0.1) })
        }
    }

    @Test("Modules depend downwards in the manifest's list")
    func direction() throws {
        let targets = try Self.targets()
        let names = targets.map(\.name)
        for required in ["fermata", "CommandLine", "Coordination", "ProcessSnapshot", "Tracing", "CLinux"] {
            #expect(names.contains(required))
        }
        for (i, target) in targets.enumerated() where !target.name.hasSuffix("Tests") {
            for dependency in target.dependencies {
                let at = try #require(names.firstIndex(of: dependency), "\(target.name) needs \(dependency)")
                #expect(at > i, "\(target.name) depends upwards on \(dependency)")
            }
        }
    }

    /// The layers of the design, from the top. A module may use those of lower layers, and only
    /// one that the design lists after it within a layer.
    @Test("The manifest's order is the design's")
    func layers() throws {
        let layers = [
            ["fermata"], ["CommandLine"], ["Launching"], ["CoordinatorService", "AgentService"], ["Coordination"],
            ["VirtualMachines", "VerbsInterposer"], ["ProcessSnapshot"], ["Tracing"], ["ImageStore"],
            ["CheckpointImage"], ["LinuxSystem"], ["CLinux", "CVerbs"], ["CFabric"],
        ]
        let known = Dictionary(
            uniqueKeysWithValues: layers.enumerated().flatMap { i, names in names.map { ($0, i) } })
        for target in try Self.targets() {
            guard let layer = known[target.name] else { continue }
            for dependency in target.dependencies {
                let below = try #require(known[dependency], "\(dependency) is in no layer")
                #expect(below >= layer, "\(target.name) depends upwards on \(dependency)")
            }
        }
    }

    @Test("The pure modules import nothing that could do I/O")
    func purity() {
        for source in Self.product where source.path.contains("/Coordination/") {
            for line in source.lines where line.hasPrefix("import ") || line.hasPrefix("@_") {
                Issue.record("\(source.path): \(line)")
            }
        }
    }

    @Test("A module imports only what its manifest entry names")
    func imports() throws {
        let targets = Dictionary(
            uniqueKeysWithValues: try Self.targets().map { ($0.name, Set($0.dependencies + $0.products)) })
        let known = Set(targets.keys).union(targets.values.joined())
        for source in Self.product where source.path.hasSuffix(".swift") {
            let module = String(source.path.split(separator: "/")[1])
            for line in source.lines {
                guard let match = line.firstMatch(of: #/^\w* ?import (\w+)/#) else { continue }
                let name = String(match.1)
                guard known.contains(name) else { continue } // the system's
                #expect(targets[module]?.contains(name) == true, "\(source.path) imports \(name)")
            }
        }
    }
}
