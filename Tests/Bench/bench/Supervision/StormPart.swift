import Foundation

/// Everything at once: a cold start, all agents killed, and what the supervisor weighs meanwhile.
struct StormPart: SupervisionPart {
    static let word = "storm"
    static let fleet = 200
    static let rounds = 3

    let programs: String

    func measure(_ peer: any Peer) throws -> [Figure] {
        var (coldStarts, storms): ([Double], [Double]) = ([], [])
        var figures: ProcessFigures?
        for _ in 0..<Self.rounds {
            let fleet = try SupervisedFleet(peer, count: Self.fleet, programs: programs)
            defer { fleet.stop() }
            try fleet.start()
            coldStarts.append(fleet.coldStartMs)
            SupervisionBench.pause(peer.healthySeconds)
            figures = fleet.figures
            let killed = monotonic()
            for number in 0..<Self.fleet { _ = try fleet.killAgent(number) }
            let back = try fleet.stamps.all(0..<Self.fleet, after: killed, within: 30)
            storms.append(Double((back.values.map(\.at).max() ?? killed) - killed) / 1e6)
        }
        let megabytes = Double(figures?.pssBytes ?? 0) / 1e6
        return [
            .spread("\(Self.fleet) killed at once, all back, ms", .init(limit: 200), storms),
            .spread("\(Self.fleet) started from cold, ms", .init(limit: 300), coldStarts),
            Figure("memory of the supervisor at \(Self.fleet) agents, PSS MB", .init(limit: 12), megabytes),
            .count("… in processes", nil, figures?.processes ?? 0),
        ]
    }
}
