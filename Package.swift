// swift-tools-version:6.2
import PackageDescription

/// Every target of ours: Swift 6 mode, each unsafe expression marked, each warning an error.
let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableExperimentalFeature("Lifetimes"),
]

let package = Package(
    name: "swift-io-engine",
    products: [
        .library(name: "IOEngine", targets: ["IOEngine"]),
        .library(name: "IOEngineCore", targets: ["IOEngineCore"]),
        .library(name: "IOEngineURing", targets: ["IOEngineURing"]),
        .library(name: "IOEngineAIO", targets: ["IOEngineAIO"]),
        .library(name: "IOEngineThreads", targets: ["IOEngineThreads"]),
        .library(name: "IOEngineMock", targets: ["IOEngineMock"]),
        .library(name: "IOEngineMerge", targets: ["IOEngineMerge"]),
        .library(name: "IOEngineTestKit", targets: ["IOEngineTestKit"]),
        .executable(name: "ioengine", targets: ["ioengine"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
    ],
    targets: [
        // Floor 0: module maps over system headers, no code of ours.
        .systemLibrary(name: "CLibAIO", providers: [.apt(["libaio-dev"])]),
        .systemLibrary(name: "CLinux"),
        .systemLibrary(name: "CSystemCalls"),

        // Floor 1
        .target(
            name: "IOEngineCore",
            dependencies: [
                "CLinux", "CSystemCalls",
                .product(name: "SystemPackage", package: "swift-system"),
                .product(name: "BasicContainers", package: "swift-collections"),
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "Histogram", package: "hdrhistogram-swift"),
            ],
            swiftSettings: settings),

        // Floor 2
        .target(
            name: "IOEngineURing",
            dependencies: [
                "IOEngineCore", "CSystemCalls",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: settings),

        .target(
            name: "IOEngineAIO",
            dependencies: [
                "IOEngineCore", "CLibAIO", "CSystemCalls",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: settings),
        .target(
            name: "IOEngineThreads",
            dependencies: [
                "IOEngineCore",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: settings),
        .target(
            name: "IOEngineMerge",
            dependencies: [
                "IOEngineCore",
                .product(name: "SystemPackage", package: "swift-system"),
                .product(name: "BasicContainers", package: "swift-collections"),
            ],
            swiftSettings: settings),
        .target(
            name: "IOEngineMock",
            dependencies: [
                "IOEngineCore",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: settings),

        // Floor 3
        .target(
            name: "IOEngineTestKit",
            dependencies: [
                "IOEngineCore", "IOEngineMock",
                .product(name: "SystemPackage", package: "swift-system"),
                .product(name: "BasicContainers", package: "swift-collections"),
            ],
            swiftSettings: settings),

        // Floor 4: the choice at run time; what most programs import.
        .target(
            name: "IOEngine",
            dependencies: [
                "IOEngineCore", "IOEngineURing", "IOEngineAIO", "IOEngineThreads",
                "IOEngineMerge", "CLinux",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: settings),

        // Floor 4: workloads, generic over the driver; not a product.
        .target(
            name: "IOEngineBench",
            dependencies: [
                "IOEngineCore", "CLinux",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: settings),

        .target(
            name: "IOEngineCopy",
            dependencies: [
                "IOEngineCore", "CLinux",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: settings),

        // Floor 5
        .executableTarget(
            name: "ioengine",
            dependencies: [
                "IOEngineBench", "IOEngineCopy", "IOEngine", "IOEngineCore", "IOEngineURing",
                "IOEngineAIO", "IOEngineThreads", "IOEngineMerge",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: settings),
        .executableTarget(
            name: "QuickStart",
            dependencies: [
                "IOEngineCore", "IOEngineURing",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            path: "DocsSource/Examples/QuickStart", swiftSettings: settings),
        .executableTarget(
            name: "LoopQuickStart",
            dependencies: [
                "IOEngineCore", "IOEngineURing",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            path: "DocsSource/Examples/LoopQuickStart", swiftSettings: settings),

        .target(
            name: "KeyValueStore", dependencies: ["IOEngineCore"],
            path: "DocsSource/Examples/KeyValueStore", swiftSettings: settings),
        .executableTarget(
            name: "TwoDrivers",
            dependencies: [
                "IOEngineCore", "IOEngineMock", "IOEngineURing", "KeyValueStore",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            path: "DocsSource/Examples/TwoDrivers", swiftSettings: settings),

        // Tests: what they share, then one target a module.
        .systemLibrary(name: "CKernelURing", path: "Tests/CKernelURing"),
        .target(
            name: "ToyDriver", dependencies: ["IOEngineCore"],
            path: "DocsSource/Examples/ToyDriver",
            swiftSettings: settings),
        .target(
            name: "TestSupport",
            dependencies: [
                "IOEngineCore", "CLinux",
                .product(name: "BasicContainers", package: "swift-collections"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            path: "Tests/TestSupport", swiftSettings: settings),
        .executableTarget(
            name: "TestHelper",
            dependencies: [
                "IOEngine", "IOEngineCore", "IOEngineURing", "IOEngineAIO", "IOEngineThreads",
                "CLinux", "TestSupport",
                .product(name: "SystemPackage", package: "swift-system"),
                .product(name: "BasicContainers", package: "swift-collections"),
            ],
            path: "Tests/TestHelper", swiftSettings: settings),
        .testTarget(
            name: "IOEngineCoreTests",
            dependencies: [
                "IOEngineCore", "IOEngineMock", "TestSupport",
                .product(name: "SystemPackage", package: "swift-system"),
                .product(name: "BasicContainers", package: "swift-collections"),
                .product(name: "DequeModule", package: "swift-collections"),
            ],
            swiftSettings: settings),
        .testTarget(
            name: "IOEngineURingTests",
            dependencies: [
                "IOEngineCore", "IOEngineURing", "TestSupport", "TestHelper", "CKernelURing",
                "CLinux",
                .product(name: "SystemPackage", package: "swift-system"),
                .product(name: "BasicContainers", package: "swift-collections"),
            ],
            swiftSettings: settings),
        .target(
            name: "StoreCrashes",
            dependencies: [
                "IOEngineCore", "IOEngineMock", "IOEngineTestKit", "KeyValueStore",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            path: "Tests/StoreCrashes", swiftSettings: settings),
        .executableTarget(
            name: "SimulationHelper",
            dependencies: [
                "IOEngineCore", "IOEngineMock", "IOEngineTestKit", "KeyValueStore",
                "StoreCrashes",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            path: "Tests/SimulationHelper", swiftSettings: settings),
        .testTarget(
            name: "IOEngineMockTests",
            dependencies: [
                "IOEngineCore", "IOEngineMock", "IOEngineURing", "TestSupport",
                "SimulationHelper",
                .product(name: "SystemPackage", package: "swift-system"),
                .product(name: "BasicContainers", package: "swift-collections"),
            ],
            swiftSettings: settings),
        .testTarget(
            name: "IOEngineAIOTests",
            dependencies: [
                "IOEngineCore", "IOEngineAIO", "TestSupport", "TestHelper", "CLibAIO",
                "CLinux",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: settings),
        .executableTarget(
            name: "SoakHelper",
            dependencies: [
                "IOEngineCore", "IOEngineURing", "IOEngineAIO", "IOEngineThreads", "TestSupport",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            path: "Tests/SoakHelper", swiftSettings: settings),
        .executableTarget(
            name: "LeakHelper",
            dependencies: [
                "IOEngine", "IOEngineCore", "IOEngineMerge", "IOEngineMock", "TestSupport",
                "CLinux",
                .product(name: "SystemPackage", package: "swift-system"),
                .product(name: "BasicContainers", package: "swift-collections"),
            ],
            path: "Tests/LeakHelper", swiftSettings: settings),
        .testTarget(
            name: "IOEngineParityTests",
            dependencies: [
                "IOEngineCore", "IOEngineURing", "IOEngineAIO", "IOEngineThreads", "TestSupport",
                "SoakHelper", "CLinux",
                .product(name: "SystemPackage", package: "swift-system"),
                .product(name: "BasicContainers", package: "swift-collections"),
            ],
            swiftSettings: settings),
        .testTarget(
            name: "IOEngineThreadsTests",
            dependencies: [
                "IOEngineCore", "IOEngineThreads", "TestSupport", "TestHelper", "CLinux",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: settings),
        .testTarget(
            name: "IOEngineTests",
            dependencies: [
                "IOEngine", "IOEngineCore", "TestSupport", "TestHelper",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: settings),
        .executableTarget(
            name: "AwaitLoops",
            dependencies: [
                "IOEngine", "IOEngineCore",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            path: "Tests/AwaitLoops", swiftSettings: settings),
        .testTarget(
            name: "IOEngineContextTests",
            dependencies: [
                "IOEngineCore", "IOEngineURing", "TestSupport", "TestHelper", "AwaitLoops",
                "CLinux",
                .product(name: "SystemPackage", package: "swift-system"),
                .product(name: "BasicContainers", package: "swift-collections"),
            ],
            swiftSettings: settings),
        .testTarget(
            name: "IOEngineMergeTests",
            dependencies: [
                "IOEngineCore", "IOEngineMerge", "IOEngineURing", "IOEngineAIO",
                "IOEngineThreads", "IOEngineMock", "IOEngineTestKit", "TestSupport", "ToyDriver",
                .product(name: "SystemPackage", package: "swift-system"),
                .product(name: "BasicContainers", package: "swift-collections"),
            ],
            swiftSettings: settings),
        .testTarget(
            name: "IOEngineTestKitTests",
            dependencies: [
                "IOEngineCore", "IOEngineURing", "IOEngineAIO", "IOEngineThreads", "IOEngineMock",
                "IOEngineMerge", "IOEngineTestKit", "KeyValueStore", "StoreCrashes", "ToyDriver",
                "TwoDrivers", "TestSupport",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: settings),
        .testTarget(
            name: "IOEngineToolTests",
            dependencies: [
                "IOEngineBench", "IOEngineCopy", "IOEngineCore", "IOEngineMock", "IOEngineURing",
                "IOEngine", "ToyDriver", "TestSupport", "TestHelper", "CLinux", "ioengine",
                "QuickStart", "LoopQuickStart",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: settings),
    ]
)

// A sanitizer is asked for some targets' tests at times; the others need not be built with it.
if let only = Context.environment["IOENGINE_ONLY_TESTS"] {
    let names = Set(only.split(separator: ",").map(String.init))
    for name in names {
        precondition(
            package.targets.contains { $0.type == .test && $0.name == name },
            "IOENGINE_ONLY_TESTS names no target of tests: \(name)")
    }
    package.targets.removeAll { $0.type == .test && !names.contains($0.name) }
}
