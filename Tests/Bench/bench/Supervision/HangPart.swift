import Foundation

/// Agents with a watchdog are stopped with SIGSTOP, which is what hanging looks like.
struct HangPart: SupervisionPart {
    static let word = "hang"
    static let fleet = 20
    static let watchdogSeconds = 1

    let programs: String

    func measure(_ peer: any Peer) throws -> [Figure] {
        // Debian's peers have no watchdog.
        guard peer is QuantPype else { return [] }
        let watched = QuantPype(programs: programs) { _ in
            ["readiness": "notify", "watchdogSeconds": Self.watchdogSeconds]
        }
        let fleet = try SupervisedFleet(watched, count: Self.fleet, programs: programs) { _ in "ping" }
        defer { fleet.stop() }
        try fleet.start()
        SupervisionBench.pause(peer.healthySeconds)
        var stopped: [Int: Int64] = [:]
        for number in 0..<Self.fleet {
            guard let stamp = fleet.stamps.latest[number] else { continue }
            stopped[number] = monotonic()
            kill(stamp.pid, SIGSTOP)
            // Spread over the time between two pings.
            SupervisionBench.pause(Double(Self.watchdogSeconds) / 4 / Double(Self.fleet))
        }
        let back = try fleet.stamps.all(0..<Self.fleet, after: stopped.values.min() ?? 0, within: 30)
        let times = back.map { Double($1.at - (stopped[$0] ?? 0)) / 1e6 }
        let title = "SIGSTOP under a watchdog of \(Self.watchdogSeconds) s → replaced"
        return [
            Figure("\(title): median, ms", nil, median(times)),
            Figure("… the slowest of \(Self.fleet), ms", .init(limit: 1_500), times.max() ?? .nan),
        ]
    }
}
