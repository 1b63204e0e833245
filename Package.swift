// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0
import PackageDescription

// Targets depend downwards in this list only; Tests/Unit asserts it.
let package = Package(
    name: "fermata",
    products: [
        .executable(name: "fermata", targets: ["fermata"]),
        // Built as libibverbs.so; what the loader goes by is the SONAME, libibverbs.so.1.
        .library(name: "ibverbs", type: .dynamic, targets: ["VerbsInterposer"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
        .package(url: "https://github.com/apple/swift-protobuf", exact: "1.39.0"),
    ],
    targets: [
        .executableTarget(name: "fermata", dependencies: ["CommandLine", "ProcessSnapshot"]),
        .target(
            name: "CommandLine",
            dependencies: [
                "Launching", "AgentService", "CoordinatorService", "Coordination", "ImageStore",
                "CheckpointImage", "ProcessSnapshot", "LinuxSystem", "CLinux",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
            ]),
        .target(
            name: "Launching",
            dependencies: [
                "CoordinatorService", "AgentService", "Coordination", "ProcessSnapshot", "ImageStore",
                "CheckpointImage", "LinuxSystem", "CLinux", "CFabric",
            ]),
        .target(
            name: "CoordinatorService",
            dependencies: [
                "AgentService", "Coordination", "ProcessSnapshot", "ImageStore", "CheckpointImage",
                "LinuxSystem", .product(name: "SwiftProtobuf", package: "swift-protobuf"),
            ],
            exclude: ["Schema"]),
        .target(
            name: "AgentService",
            dependencies: ["ProcessSnapshot", "Tracing", "Coordination", "ImageStore", "CheckpointImage", "LinuxSystem"]),
        .target(name: "Coordination"),
        // Loaded into applications in place of libibverbs.so.1, hence Embedded Swift: it needs libc only.
        .target(
            name: "VerbsInterposer",
            dependencies: ["CVerbs", "CFabric"],
            swiftSettings: [
                .enableExperimentalFeature("Embedded"),
                // Accesses are checked where the compiler can; at run time each check would cost as much
                // as a poll's look at the rings.
                .unsafeFlags(["-enforce-exclusivity=unchecked"]),
            ],
            linkerSettings: [
                .unsafeFlags([
                    "-use-ld=lld", "-no-toolchain-stdlib-rpath",
                    "-Xlinker", "-soname=libibverbs.so.1",
                    "-Xlinker", "--version-script=\(Context.packageDirectory)/Sources/CVerbs/Generated/versions.map",
                ])
            ]),
        .target(
            name: "ProcessSnapshot",
            dependencies: ["Tracing", "ImageStore", "CheckpointImage", "LinuxSystem", "CLinux"]),
        .target(name: "Tracing", dependencies: ["LinuxSystem", "CLinux"]),
        .target(
            name: "ImageStore",
            dependencies: [
                "CheckpointImage", "LinuxSystem", "CLinux",
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
            ]),
        .target(
            name: "CheckpointImage",
            dependencies: [
                .product(name: "SwiftProtobuf", package: "swift-protobuf"), "CLinux",
            ],
            exclude: ["Schema"]),
        .target(name: "LinuxSystem", dependencies: ["CLinux"]),
        .target(
            name: "CLinux", cSettings: [.unsafeFlags(["-O2", "-Wall", "-Wextra", "-Werror"])]),
        .target(
            name: "CVerbs",
            dependencies: ["CFabric"],
            exclude: ["ABI", "Generated/versions.map"],
            cSettings: [.unsafeFlags(["-O2", "-Wall", "-Wextra", "-Werror"])]),
        .target(
            name: "CFabric", cSettings: [.unsafeFlags(["-O2", "-Wall", "-Wextra", "-Werror"])]),
        .testTarget(name: "SimulationTests", dependencies: ["Coordination"], path: "Tests/Simulation"),
        .testTarget(
            name: "UnitTests",
            dependencies: [
                "Coordination", "ProcessSnapshot", "Tracing", "ImageStore", "CheckpointImage", "LinuxSystem",
                "CLinux", .product(name: "SwiftProtobuf", package: "swift-protobuf"),
            ],
            path: "Tests/Unit"),
    ]
)
