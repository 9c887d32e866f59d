import Foundation

/// Restarts, storms, cold starts, idle cost and memory of this supervisor and of Debian's, on the same agent, in one run.
struct SupervisionBench {
    static let restartFleet = 100
    static let stormFleet = 200
    static let samples = 200
    static let slowSamples = 20
    static let storms = 3
    static let idleSeconds = 20.0
    /// Between two kills, so that each finds a quiet supervisor.
    static let pauseMicroseconds: useconds_t = 10_000

    let programs: String

    /// One column of the table.
    struct Column {
        var name: String
        var restart: [Double] = []
        var storms: [Double] = []
        var coldStarts: [Double] = []
        var idleSwitches = 0
        var idleTicks = 0
        var pssBytes = 0
        var processes = 0
    }

    func columns() throws -> [Column] {
        let peers: [any Peer] = [QuantPype(programs: programs), Runit(), S6(), Supervisord()]
        return try peers.filter { FileManager.default.isExecutableFile(atPath: $0.command("/").program) }.map(measure)
    }

    private func measure(_ peer: any Peer) throws -> Column {
        var column = Column(name: peer.name)
        try restarts(peer, &column)
        for _ in 0..<Self.storms { try storm(peer, &column) }
        return column
    }

    private func restarts(_ peer: any Peer, _ column: inout Column) throws {
        let fleet = try SupervisedFleet(peer, count: Self.restartFleet, programs: programs)
        defer { fleet.stop() }
        try fleet.start()
        wait(peer.healthySeconds)
        let before = fleet.figures
        wait(Self.idleSeconds)
        let after = fleet.figures
        column.idleSwitches = after.contextSwitches - before.contextSwitches
        column.idleTicks = after.ticks - before.ticks
        for sample in 0..<(peer.isSlow ? Self.slowSamples : Self.samples) {
            let number = sample % Self.restartFleet
            if number == 0, sample > 0 { wait(peer.healthySeconds) }
            let killed = try fleet.killAgent(number)
            let stamp = try fleet.stamps.all(number..<number + 1, after: killed, within: 10)[number]!
            column.restart.append(Double(stamp.at - killed) / 1e6)
            usleep(Self.pauseMicroseconds)
        }
    }

    private func storm(_ peer: any Peer, _ column: inout Column) throws {
        let fleet = try SupervisedFleet(peer, count: Self.stormFleet, programs: programs)
        defer { fleet.stop() }
        try fleet.start()
        column.coldStarts.append(fleet.coldStartMs)
        wait(peer.healthySeconds)
        let figures = fleet.figures
        (column.pssBytes, column.processes) = (figures.pssBytes, figures.processes)
        let killed = monotonic()
        for number in 0..<Self.stormFleet { _ = try fleet.killAgent(number) }
        let back = try fleet.stamps.all(0..<Self.stormFleet, after: killed, within: 30)
        column.storms.append(Double(back.values.map(\.at).max()! - killed) / 1e6)
    }

    private func wait(_ seconds: Double) {
        usleep(useconds_t(seconds * 1e6))
    }
}

/// The value below which `share` (0 to 1) of the samples lie: nearest rank.
func percentile(_ values: [Double], _ share: Double) -> Double {
    guard !values.isEmpty else { return .nan }
    return values.sorted()[min(values.count - 1, max(0, Int((Double(values.count) * share).rounded(.up)) - 1))]
}
