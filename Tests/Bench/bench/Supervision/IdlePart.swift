import Foundation

/// What supervising agents that do nothing costs.
struct IdlePart: SupervisionPart {
    static let word = "idle"
    static let fleet = 100
    static let seconds = 20.0

    let programs: String

    func measure(_ peer: any Peer) throws -> [Figure] {
        let fleet = try SupervisedFleet(peer, count: Self.fleet, programs: programs)
        defer { fleet.stop() }
        try fleet.start()
        SupervisionBench.pause(peer.healthySeconds)
        let before = fleet.figures
        SupervisionBench.pause(Self.seconds)
        let after = fleet.figures
        let percent = Double(after.ticks - before.ticks) / Double(sysconf(Int32(_SC_CLK_TCK))) / Self.seconds * 100
        return [
            .count(
                "\(Self.fleet) idle agents, \(Int(Self.seconds)) s: wake-ups",
                .init(limit: 2, isIncluded: true), after.contextSwitches - before.contextSwitches),
            Figure("… CPU, %", .init(limit: 0), String(format: "%.1f", percent), (percent * 10).rounded() / 10),
        ]
    }
}
