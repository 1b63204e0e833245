// swift-tools-version: 6.2
// The harness is a package of its own, without dependencies: it builds in seconds, and it cannot be
// wrong in the same way as the tool, because it shares no code with it.
import PackageDescription

let package = Package(
    name: "FermataTests",
    products: [
        .executable(name: "fermata-tests", targets: ["fermata-tests"]),
        .library(name: "HarnessKit", targets: ["HarnessKit"]),
    ],
    targets: [
        .target(name: "HarnessKit"),
        .executableTarget(name: "fermata-tests", dependencies: ["HarnessKit"]),
    ],
    swiftLanguageModes: [.v6]
)
