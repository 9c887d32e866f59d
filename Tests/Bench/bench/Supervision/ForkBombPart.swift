import Foundation

/// An agent that forks as fast as its limit lets it, every child in a session of its own and deaf to SIGTERM, is stopped.
struct ForkBombPart: SupervisionPart {
    static let word = "fork-bomb"
    static let processes = 64
    static let rounds = 5
    static let deadlineMs = 100.0
    static let growSeconds = 10.0

    let programs: String

    func measure(_ peer: any Peer) throws -> [Figure] {
        // Debian's peers set no limit of processes that holds for root.
        guard peer is QuantPype else { return [] }
        let bomb = QuantPype(programs: programs) { _ in
            [
                "executable": "misbehave", "arguments": ["bomb"], "readiness": "notify",
                "limits": ["processes": Self.processes],
                // It is deaf to the signal that asks it to leave: killed at once.
                "stop": ["timeoutSeconds": 0],
            ]
        }
        let fleet = try SupervisedFleet(bomb, count: 1, programs: programs)
        defer { fleet.stop() }
        try fleet.start(healthy: 0..<0)
        let path = QuantPype.socket(fleet.directory)
        _ = try ControlSocket.firstAnswer(path: path, "status", seconds: SupervisedFleet.startSeconds)
        var times: [Double] = []
        var survivors = 0
        for _ in 0..<Self.rounds {
            try grow(fleet)
            guard let control = ControlSocket(path: path) else { throw BenchError(description: "no control socket") }
            let stopped = monotonic()
            _ = control.ask("stop", #"{"agent":"a0"}"#)
            let (time, late) = gone(since: stopped, fleet)
            times.append(time)
            survivors = max(survivors, late)
            _ = control.ask("start", #"{"agent":"a0"}"#)
        }
        return [
            .count(
                "fork bomb of \(Self.processes) processes stopped: survivors after \(Int(Self.deadlineMs)) ms",
                .init(limit: 0), survivors),
            .spread("… stop → none left, ms", .init(limit: Self.deadlineMs), times),
        ]
    }

    private func grow(_ fleet: SupervisedFleet) throws {
        let end = monotonic() + Int64(Self.growSeconds * 1e9)
        while FleetProcess.all(in: fleet.directory).count < Self.processes - 1 {
            guard monotonic() < end else { throw BenchError(description: "the fork bomb did not reach its limit") }
            usleep(5_000)
        }
    }

    /// When the last of it was seen, after `instant`, and how many there were past the deadline.
    private func gone(since instant: Int64, _ fleet: SupervisedFleet) -> (milliseconds: Double, late: Int) {
        var late = 0
        while true {
            let count = FleetProcess.all(in: fleet.directory).count
            let time = Double(monotonic() - instant) / 1e6
            if count == 0 || time > 10_000 { return (time, late) }
            if time > Self.deadlineMs { late = max(late, count) }
            usleep(500)
        }
    }
}
