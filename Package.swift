// swift-tools-version: 6.2
import PackageDescription

let sqlite = Target.Dependency.product(name: "GRDB", package: "GRDB.swift")
let arguments = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let protobuf = Target.Dependency.product(name: "SwiftProtobuf", package: "swift-protobuf")

/// For programs in C alone, in the builds of the Makefile that link the Swift runtime statically: without these they would load
/// the C++ library, or carry Swift's runtime and what it does at its start, through every fork and exec (a tenth of the size, half
/// the system calls).
let staticC: [LinkerSetting] =
    Context.environment["QP_STATIC"] == nil
    ? []
    : [
        .unsafeFlags([
            "-nostartfiles", "-Xclang-linker", "-static", "-Xclang-linker", "-Wno-unused-command-line-argument",
        ])
    ]

/// For programs in Swift that are started again and again: nothing is left for the loader to find or to relocate, which is more than
/// half of what a start costs.
let staticSwift: [LinkerSetting] =
    Context.environment["QP_STATIC"] == nil ? [] : [.unsafeFlags(["-static-executable"])]

// Rooms, lowest first. A target may depend only on targets above it in this file;
// `.ci/check-imports` holds the sources to the same direction.
let package = Package(
    name: "quantpype",
    products: [
        .executable(name: "supervisor", targets: ["supervisor"]),
        .executable(name: "agentctl", targets: ["agentctl"]),
        .executable(name: "agentctl-records", targets: ["agentctl-records"]),
        .executable(name: "agent-launcher", targets: ["agent-launcher"]),
        .executable(name: "Guardian.ai", targets: ["Guardian"]),
        .library(name: "AgentKit", targets: ["AgentKit"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0", traits: []),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    ],
    targets: [
        .systemLibrary(name: "CZeroMQ", providers: [.apt(["libzmq3-dev"])]),
        .systemLibrary(name: "CZlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(name: "COpenSSL", providers: [.apt(["libssl-dev"])]),
        .target(name: "CLinux"),

        .target(name: "ZeroMQ", dependencies: ["CZeroMQ"]),
        .target(
            name: "Wire",
            dependencies: [protobuf],
            exclude: ["README.md", "schema"]),
        .target(name: "Market", dependencies: ["Wire"]),
        .target(name: "Recording", dependencies: ["CZlib"]),
        .target(name: "Supervision", dependencies: ["Wire"]),
        .target(name: "Delivery", dependencies: ["Wire"]),
        .target(name: "Journal", dependencies: ["CLinux", "COpenSSL", "Wire"]),
        .target(name: "Authority", dependencies: ["CLinux", "COpenSSL", "Wire", "Journal"]),
        .target(name: "AgentKit", dependencies: ["CLinux", "ZeroMQ", "Wire", "Journal", "Authority", "Delivery"]),
        .target(name: "Audit", dependencies: ["Wire", "Market", "Journal"]),
        .target(name: "Ledger", dependencies: ["Wire", "Market", "Journal", "Audit", sqlite]),
        .target(name: "Commands", dependencies: ["Wire", arguments]),
        .target(name: "Host", dependencies: ["CLinux", "Wire", "Supervision", "Journal", "Authority", "Audit"]),

        // Measurements: `make bench`.
        .executableTarget(
            name: "chain-bare", dependencies: ["CZeroMQ"], path: "Tests/Bench/chain-bare",
            linkerSettings: [.linkedLibrary("zmq")]),
        .executableTarget(name: "bench-agent", dependencies: ["AgentKit", "Wire"], path: "Tests/Bench/bench-agent"),
        // Static, as the peers' own measurements have it: what the loader does is no supervisor's merit.
        .executableTarget(
            name: "stamp", path: "Tests/Bench/stamp",
            linkerSettings: staticC),
        .executableTarget(name: "bench", dependencies: ["Authority", "Journal", "Wire"], path: "Tests/Bench/bench"),

        .executableTarget(name: "agent-launcher", dependencies: ["CLinux"], linkerSettings: staticC),
        .executableTarget(
            name: "supervisor",
            dependencies: ["Host", arguments]),
        .executableTarget(name: "agentctl", dependencies: ["Commands", arguments], linkerSettings: staticSwift),
        .executableTarget(
            name: "agentctl-records",
            dependencies: ["Commands", "Wire", "Market", "Journal", "Audit", "Ledger", arguments]),

        agent("MarketFeed", ["Market", "Recording"]),
        agent("TextFeed", ["Recording"]),
        agent("VolumeFeed", ["Market", "Recording"], data: ["sample.psv"]),
        agent("SentimentX", data: ["model.bin", "train.py"]),
        agent("AlphaScanner", ["Market"]),
        agent("DarkPoolScan", ["Market"]),
        agent("VolatilityNexus", ["Market"]),
        agent("Guardian", path: "Guardian.ai", ["Market"]),
        agent("RiskSentinel", ["Market"]),
        agent("NeuralArb", ["Market"]),
        agent("LiquidityFlow", ["Market"]),
        agent("PaperVenue", ["Market"]),

        // Misbehaving agents, for the end-to-end tests.
        .executableTarget(
            name: "durable-chain", dependencies: ["AgentKit", "Wire"], path: "Tests/Fixtures/durable-chain"),
        .executableTarget(name: "misbehave", path: "Tests/Fixtures/misbehave"),
        .executableTarget(name: "dying-launcher", dependencies: ["CLinux"], path: "Tests/Fixtures/dying-launcher"),
        .executableTarget(name: "crasher", dependencies: ["AgentKit", "Wire"], path: "Tests/Fixtures/crasher"),
        .executableTarget(
            name: "storm-alpha", dependencies: ["AgentKit", "Market", "Wire"], path: "Tests/Fixtures/storm-alpha"),
        .target(name: "CAllocations", path: "Tests/Support/CAllocations"),
        .target(name: "TestSupport", path: "Tests/Support/TestSupport"),

        tests("ZeroMQ", ["CAllocations", "CZeroMQ", "ZeroMQ"]),
        tests("Wire", ["Wire", protobuf]),
        tests("Market", ["Market"]),
        tests("Recording", ["Recording"]),
        tests("Supervision", ["Supervision", "Wire"]),
        tests("Delivery", ["Delivery", "Wire"]),
        tests("Journal", ["Journal", "CLinux", "Wire"]),
        tests("Authority", ["Authority", "CLinux", "Journal", "Wire", protobuf]),
        tests("AgentKit", ["AgentKit", "Authority", "CLinux", "Delivery", "Journal", "ZeroMQ", "Wire", protobuf]),
        tests("Audit", ["Audit", "Journal", "Market", "Wire"]),
        tests("Ledger", ["Ledger", "Audit", "Journal", "Market", "Wire", sqlite]),
        tests("Host", ["Host", "Journal"]),
        tests(
            "Agents",
            [
                "AgentKit", "Market", "Recording", "MarketFeed", "TextFeed", "VolumeFeed", "SentimentX", "AlphaScanner",
                "DarkPoolScan",
                "VolatilityNexus", "Guardian", "RiskSentinel", "NeuralArb", "LiquidityFlow", "PaperVenue",
            ]),
        tests("agentctl", ["Commands", "agentctl-records", "Wire"]),
        tests(
            "EndToEnd",
            [
                "AgentKit", "Authority", "CLinux", "Guardian", "Journal", "Market", "RiskSentinel", "Wire", "ZeroMQ",
                protobuf,
            ]),
    ],
    swiftLanguageModes: [.v6]
)

/// One agent: `agents/<path>/` holds its manifest, its sources and its data.
func agent(
    _ name: String, path: String? = nil, _ rooms: [Target.Dependency] = [], data: [String] = []
) -> Target {
    .executableTarget(
        name: name, dependencies: ["AgentKit", "Wire"] + rooms, path: "agents/\(path ?? name)",
        exclude: ["agent.json"] + data)
}

/// The tests of one room: `Tests/<room>Tests/`.
func tests(_ room: String, _ rooms: [Target.Dependency]) -> Target {
    .testTarget(name: room + "Tests", dependencies: rooms + ["TestSupport"])
}

let inC = ["CLinux", "CAllocations", "agent-launcher", "chain-bare", "dying-launcher", "misbehave", "stamp"]
// One settings list for all Swift targets.
for target in package.targets where target.type != .system && !inC.contains(target.name) {
    target.swiftSettings = [
        .treatAllWarnings(as: .error),
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("MemberImportVisibility"),
    ]
    // Spans that cannot outlive the receive buffer they look into.
    if target.name == "ZeroMQ" { target.swiftSettings?.append(.enableExperimentalFeature("Lifetimes")) }
}
