import Foundation

/// Agents that crash as fast as they are restarted, among healthy ones: what the operator and the healthy notice of it.
struct CrashLoopPart: SupervisionPart {
    static let word = "crash-loop"
    static let healthy = 180
    static let sick = 20
    static let looks = 200
    static let slowLooks = 10
    static let kills = 180
    static let slowKills = 10
    static let rateSeconds = 2.0
    static let commands = 40
    /// Longer than this and a command counts as timed out.
    static let commandSeconds = 1.0

    let programs: String

    func measure(_ peer: any Peer) throws -> [Figure] {
        // Ten times as fast as the peers, which wait a second between two starts.
        let loop: [String: Any] = [
            "restart": ["initialMs": 0, "maxMs": 200, "intensity": ["restarts": 1_000_000, "windowSeconds": 1]]
        ]
        let isOwn = peer is QuantPype
        let peer = isOwn ? QuantPype(programs: programs) { $0 < Self.healthy ? [:] : loop } : peer
        let fleet = try SupervisedFleet(peer, count: Self.healthy + Self.sick, programs: programs) {
            $0 < Self.healthy ? "plain" : "crash"
        }
        defer { fleet.stop() }
        try fleet.start(healthy: 0..<Self.healthy)
        SupervisionBench.pause(peer.healthySeconds)
        let title = "\(Self.sick) crash-looping among \(Self.healthy) healthy"
        var figures = [Figure("\(title): crashes a second", nil, crashRate(fleet))]
        if let status = peer.statusCommand(fleet.directory) {
            let times = try looks(status, fleet, peer.isSlow ? Self.slowLooks : Self.looks)
            figures.append(Figure("… status command, median, ms", nil, median(times)))
            figures.append(Figure("… status command, p99, ms", .init(limit: 20), percentile(times, 0.99)))
        }
        let kills = try RestartPart.kill(peer.isSlow ? Self.slowKills : Self.kills, of: 0..<Self.healthy, in: fleet)
        figures.append(
            Figure("… a healthy one killed → next first instruction, median, ms", .init(limit: 2.7), median(kills)))
        figures.append(Figure("… the same, p99, ms", .init(limit: 5), percentile(kills, 0.99)))
        if isOwn { figures.append(try commands(fleet)) }
        return figures
    }

    private func crashRate(_ fleet: SupervisedFleet) -> Double {
        func crashes() -> Int {
            fleet.stamps.drain()
            return fleet.stamps.counts.filter { $0.key >= Self.healthy }.values.reduce(0, +)
        }
        let (before, begun) = (crashes(), monotonic())
        SupervisionBench.pause(Self.rateSeconds)
        return Double(crashes() - before) / (Double(monotonic() - begun) / 1e9)
    }

    private func looks(
        _ status: (program: String, arguments: [String]), _ fleet: SupervisedFleet, _ count: Int
    ) throws -> [Double] {
        try (0..<count).map { _ in
            fleet.stamps.drain()
            SupervisionBench.pause(RestartPart.pauseSeconds)
            return try Child.run(status.program, status.arguments, seconds: 30)
        }
    }

    /// Restarts of healthy and stops and starts of sick agents: none may be kept waiting.
    private func commands(_ fleet: SupervisedFleet) throws -> Figure {
        var late = 0
        for number in 0..<Self.commands {
            fleet.stamps.drain()
            let sick = "a\(Self.healthy + number % Self.sick)"
            for arguments in [["restart", "a\(number)"], ["stop", sick], ["start", sick]] {
                let socket = ["--socket", QuantPype.socket(fleet.directory)]
                let milliseconds = try Child.run("\(programs)/agentctl", socket + arguments, seconds: 30)
                if milliseconds > Self.commandSeconds * 1_000 { late += 1 }
            }
        }
        return .count("… of \(Self.commands * 3) control commands, later than 1 s", .init(limit: 0), late)
    }
}
