import Foundation

/// The supervisor of agents that write a line every 20 ms is killed with SIGKILL and started again.
struct AdoptionPart: SupervisionPart {
    static let word = "adoption"
    static let fleet = 200
    static let rounds = 5
    static let peerRounds = 1
    /// How long nobody supervises.
    static let goneSeconds = 0.3
    /// How long it then runs before it is looked at.
    static let settleSeconds = 1.5

    let programs: String

    func measure(_ peer: any Peer) throws -> [Figure] {
        let isOwn = peer is QuantPype
        let fleet = try SupervisedFleet(peer, count: Self.fleet, programs: programs) { _ in isOwn ? "lines" : "plain" }
        defer { fleet.stop() }
        try fleet.start()
        SupervisionBench.pause(peer.healthySeconds)
        let pids = fleet.stamps.latest.mapValues(\.pid)
        var times: [Double] = []
        var duplicates = 0
        var orphans = 0
        for _ in 0..<(isOwn ? Self.rounds : Self.peerRounds) {
            fleet.killSupervisor()
            SupervisionBench.pause(Self.goneSeconds)
            let begun = try fleet.launch()
            if isOwn {
                _ = try ControlSocket.firstAnswer(
                    path: QuantPype.socket(fleet.directory), "status", seconds: SupervisedFleet.startSeconds,
                    accepts: Self.showsAll)
                times.append(Double(monotonic() - begun) / 1e6)
            }
            SupervisionBench.pause(Self.settleSeconds)
            fleet.stamps.drain()
            let living = FleetProcess.all(in: fleet.directory).filter(\.isAgent)
            duplicates = max(duplicates, living.count - Set(living.map(\.folder)).count)
            orphans = max(orphans, self.orphans(among: living, of: fleet, isOwn))
        }
        let alive = Set(FleetProcess.all(in: fleet.directory).map(\.pid))
        let restarted = pids.values.count { !alive.contains($0) }
        let title = "supervisor of \(Self.fleet) working agents killed (SIGKILL) and started again"
        var figures: [Figure] = []
        if isOwn {
            figures.append(.spread("\(title): start → all adopted and `status` answered, ms", .init(limit: 200), times))
        }
        figures.append(.count("… agents restarted", .init(limit: 0), restarted))
        figures.append(.count("… agents running twice", .init(limit: 0), duplicates))
        figures.append(.count("… agents that nobody supervises", .init(limit: 0), orphans))
        if isOwn { figures += lines(fleet) }
        return figures
    }

    /// Each agent is taken over, and works.
    private static func showsAll(_ status: [String: Any]) -> Bool {
        let agents = status["agents"] as? [[String: Any]] ?? []
        return agents.count { $0["state"] as? String == "running" && $0["pid"] is Int } == fleet
    }

    private func orphans(among living: [FleetProcess], of fleet: SupervisedFleet, _ isOwn: Bool) -> Int {
        if isOwn {
            let status = ControlSocket(path: QuantPype.socket(fleet.directory))?.ask("status")
            let known = Set((status?["agents"] as? [[String: Any]] ?? []).compactMap { $0["pid"] as? Int })
            return living.count { !known.contains(Int($0.pid)) }
        }
        // Those of the supervisor, and of the small ones it leaves behind for each agent.
        let small = FleetProcess.all(in: fleet.directory).filter { !$0.isAgent }.map(\.pid)
        let parents = Set(small + [fleet.supervisor])
        return living.count { !parents.contains($0.parent) }
    }

    /// Each agent numbers its lines: what is missing between the first and the last, or there twice.
    private func lines(_ fleet: SupervisedFleet) -> [Figure] {
        var (written, missing, doubled) = (0, 0, 0)
        for number in 0..<Self.fleet {
            let path = "\(fleet.directory)/run/logs/a\(number).log"
            let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
            let numbers = text.split(separator: "\n").compactMap { line -> Int? in
                let words = line.split(separator: " ")
                return words.count == 5 && words[3] == "line" ? Int(words[4]) : nil
            }
            let distinct = Set(numbers)
            written += numbers.max() ?? 0
            missing += (numbers.max() ?? 0) - distinct.count
            doubled += numbers.count - distinct.count
        }
        return [
            .count("… log lines lost (of \(written / 1_000) thousand)", .init(limit: 0), missing),
            .count("… log lines doubled", .init(limit: 0), doubled),
        ]
    }
}
