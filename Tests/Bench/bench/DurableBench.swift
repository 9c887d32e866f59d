import Foundation

/// What a durable wire adds to the same wire as `queue`: the same chain, the two in turn.
struct DurableBench {
    /// The chain's four hops; each agent between them both receives and sends durably.
    static let hops = 4.0
    static let powerMessages = 2_000
    /// Slow enough that each message finds the disks idle.
    static let powerRatePerSecond = 50
    static let powerThroughputMessages = 20_000

    let chains: ChainBench

    /// Latency at the rate of the queue chain; what a hop gains is the difference of the medians over the hops.
    func hop(rounds: Int) throws -> String {
        var times: [ChainWires: [String: [Double]]] = [:]
        for _ in 0..<rounds {
            for wires in [ChainWires.queue, .durable] {
                let result = try chains.runAgents(
                    count: ChainBench.latencyMessages, rate: ChainBench.ratePerSecond, over: wires)
                for figure in ["p50_us", "p99_us", "p999_us"] {
                    times[wires, default: [:]][figure, default: []].append(result[figure] as? Double ?? .nan)
                }
            }
        }
        func time(_ wires: ChainWires, _ figure: String) -> Double { median(times[wires]?[figure] ?? []) }
        var lines = ["Latency of the four hops at \(ChainBench.ratePerSecond)/s (µs, median of the rounds)"]
        for (title, figure) in [("p50", "p50_us"), ("p99", "p99_us"), ("p99.9", "p999_us")] {
            let (queue, durable) = (time(.queue, figure), time(.durable, figure))
            lines.append(
                "  \(pad(title, 12)) queue \(pad(text(queue), 10)) durable \(pad(text(durable), 10)) "
                    + "a hop adds \(text((durable - queue) / Self.hops))")
        }
        return lines.joined(separator: "\n")
    }

    /// The chain with every wire made to survive a power loss: a message waits for two syncs a hop, one on each side,
    /// and many messages share them when there are many.
    func power(rounds: Int) throws -> String {
        var (latency, throughput): ([Double], [Double]) = ([], [])
        for _ in 0..<rounds {
            let single = try chains.runAgents(
                count: Self.powerMessages / 10, rate: Self.powerRatePerSecond, over: .power)
            latency.append(single["p50_us"] as? Double ?? .nan)
            let many = try chains.runAgents(count: Self.powerThroughputMessages, rate: 0, over: .power)
            throughput.append(many["messages_per_second"] as? Double ?? .nan)
        }
        return "Durability power on every wire: four hops at \(Self.powerRatePerSecond)/s "
            + "\(text(median(latency) / 1_000)) ms (p50); full speed \(Int(median(throughput))) messages/s"
    }

    private func text(_ value: Double) -> String { String(format: "%.1f", value) }
}
