import Foundation

/// From kill -9 to the first instruction of the next incarnation, one agent at a time.
struct RestartPart: SupervisionPart {
    static let word = "restart"
    static let fleet = 100
    static let samples = 300
    static let slowSamples = 20
    /// Between two kills, so that each finds a quiet supervisor.
    static let pauseSeconds = 0.01

    let programs: String

    func measure(_ peer: any Peer) throws -> [Figure] {
        let fleet = try SupervisedFleet(peer, count: Self.fleet, programs: programs)
        defer { fleet.stop() }
        try fleet.start()
        let times = try Self.kill(peer.isSlow ? Self.slowSamples : Self.samples, of: 0..<Self.fleet, in: fleet)
        return [
            Figure(
                "kill -9 → next first instruction, \(Self.fleet) agents: median, ms", .init(limit: 2.7), median(times)),
            Figure("… p99, ms", .init(limit: 5), percentile(times, 0.99)),
        ]
    }

    /// Kills the agents in `numbers` one after another, each in its best health; milliseconds.
    static func kill(_ samples: Int, of numbers: Range<Int>, in fleet: SupervisedFleet) throws -> [Double] {
        try (0..<samples).map { sample in
            let number = numbers.lowerBound + sample % numbers.count
            if number == numbers.lowerBound { SupervisionBench.pause(fleet.peer.healthySeconds) }
            fleet.stamps.drain()
            let killed = try fleet.killAgent(number)
            guard let stamp = try fleet.stamps.all(number..<number + 1, after: killed, within: 10)[number] else {
                throw BenchError(description: "agent \(number) did not come back")
            }
            SupervisionBench.pause(pauseSeconds)
            return Double(stamp.at - killed) / 1e6
        }
    }
}
