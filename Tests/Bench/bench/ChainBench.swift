import Foundation

/// What the chain's wires are made of.
enum ChainWires: String {
    case queue, durable
    case power = "durable, power"

    /// The port of every station, as in agent.json.
    var port: [String: String] {
        switch self {
        case .queue: ["type": "TextItem", "delivery": "queue"]
        case .durable: ["type": "TextItem", "delivery": "durable"]
        case .power: ["type": "TextItem", "delivery": "durable", "durability": "power"]
        }
    }
}

/// The chain of agents under the supervisor beside the same chain in C on libzmq alone.
struct ChainBench {
    static let latencyMessages = 10_000
    static let ratePerSecond = 1_000
    static let throughputMessages = 400_000
    /// In flight at most; more than all queues of the chain hold, so that these hold it back.
    static let throughputWindow = 100_000
    static let secondsLimit = 120.0

    let programs: String

    func latency(rounds: Int) throws -> Comparison {
        var comparison = Comparison(
            title: "Latency at \(Self.ratePerSecond)/s from the intended send", unit: "µs",
            figures: ["p50", "p99", "p99.9", "max"])
        for _ in 0..<rounds {
            let bare = try runBare(
                ["--mode", "latency", "--rate", "\(Self.ratePerSecond)", "--count", "\(Self.latencyMessages)"])
            let times = bare["from_intended_ns"] as? [String: Any] ?? [:]
            for (figure, key) in [("p50", "p50"), ("p99", "p99"), ("p99.9", "p999"), ("max", "max")] {
                comparison.bare[figure, default: []].append((times[key] as? Double ?? .nan) / 1_000)
            }
            let agents = try runAgents(count: Self.latencyMessages, rate: Self.ratePerSecond)
            for (figure, key) in [("p50", "p50_us"), ("p99", "p99_us"), ("p99.9", "p999_us"), ("max", "max_us")] {
                comparison.agents[figure, default: []].append(agents[key] as? Double ?? .nan)
            }
        }
        return comparison
    }

    func throughput(rounds: Int) throws -> Comparison {
        var comparison = Comparison(
            title: "Full speed, held back only by full queues", unit: "messages/s", figures: ["throughput"])
        for _ in 0..<rounds {
            let bare = try runBare(
                [
                    "--mode", "throughput", "--count", "\(Self.throughputMessages)", "--window",
                    "\(Self.throughputWindow)",
                ])
            comparison.bare["throughput", default: []].append(bare["per_second"] as? Double ?? .nan)
            let agents = try runAgents(count: Self.throughputMessages, rate: 0)
            comparison.agents["throughput", default: []].append(agents["messages_per_second"] as? Double ?? .nan)
        }
        return comparison
    }

    private func runBare(_ arguments: [String]) throws -> [String: Any] {
        try object(run("\(programs)/chain-bare", ["drive"] + arguments, seconds: Self.secondsLimit))
    }

    /// The chain of agents over wires of one kind; what the sink measured.
    func runAgents(count: Int, rate: Int, over wires: ChainWires = .queue) throws -> [String: Any] {
        let names = ["Source", "A", "B", "C", "Sink"]
        var agents: [String: [String: Any]] = [:]
        for (index, name) in names.enumerated() {
            let part = index == 0 ? "source" : index == names.count - 1 ? "sink" : "relay"
            var manifest: [String: Any] = [
                "executable": "bench-agent", "readiness": "notify", "role": index == 0 ? "ingest" : "utility",
            ]
            var settings: [String: Any] = ["part": part]
            if part != "relay" { settings["count"] = count }
            if part == "source" { settings["ratePerSecond"] = rate }
            manifest["settings"] = settings
            if part != "sink" { manifest["outputs"] = ["out": wires.port] }
            if part != "source" {
                manifest["inputs"] = ["in": wires.port.merging(["from": "\(names[index - 1]).out"]) { $1 }]
            }
            agents[name] = manifest
        }
        let fleet = try TemporaryFleet(programs: programs, agents: agents)
        _ = try run(
            "\(programs)/supervisor", ["--config", fleet.configuration, "--until-idle", "--quiet"],
            seconds: Self.secondsLimit)
        let log = try fleet.log(of: "Sink")
        guard let line = log.split(separator: "\n").last(where: { $0.contains("RESULT ") }),
            let start = line.range(of: "RESULT ")?.upperBound
        else { throw BenchError(description: "the sink has no result: \(log.suffix(500))") }
        return try object(String(line[start...]))
    }

    private func object(_ text: String) throws -> [String: Any] {
        guard let object = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any] else {
            throw BenchError(description: "not a JSON object: \(text)")
        }
        return object
    }
}
