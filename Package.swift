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
        .library(name: "IOEngineCore", targets: ["IOEngineCore"]),
        .library(name: "IOEngineURing", targets: ["IOEngineURing"]),

    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
    ],
    targets: [
        // Floor 0: module maps over system headers, no code of ours.
        .systemLibrary(
            name: "CLibURing", pkgConfig: "liburing", providers: [.apt(["liburing-dev"])]),
        .systemLibrary(name: "CLinux"),

        // Floor 1
        .target(
            name: "IOEngineCore",
            dependencies: [
                "CLinux",
                .product(name: "SystemPackage", package: "swift-system"),
                .product(name: "BasicContainers", package: "swift-collections"),
                .product(name: "Histogram", package: "hdrhistogram-swift"),
            ],
            swiftSettings: settings),

        // Floor 2
        .target(
            name: "IOEngineURing",
            dependencies: [
                "IOEngineCore", "CLibURing",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: settings),
    ]
)
