import Foundation

/// How long it takes from the supervisor's decision to start an agent until it is ready: through `Process`, the launcher,
/// the agent's own start and, for an SDK agent, its READY. Taken from the time stamps of the supervisor's events.
struct SpawnBench {
    static let restarts = 40
    static let startSeconds = 10.0

    let programs: String

    func measure() throws -> String {
        let fleet = try TemporaryFleet(
            programs: programs,
            agents: [
                "Agent": [
                    "executable": "bench-agent", "readiness": "notify", "settings": ["part": "relay"],
                    "outputs": ["out": ["type": "TextItem", "delivery": "stream"]],
                ],
                "Sleep": ["executable": "sleep.sh", "readiness": "exec"],
            ])
        let script = "\(fleet.directory)/agents/Sleep/sleep.sh"
        try "#!/bin/sh\nexec sleep 1000\n".write(toFile: script, atomically: true, encoding: .utf8)
        chmod(script, 0o755)

        let supervisor = Process()
        supervisor.executableURL = URL(fileURLWithPath: "\(programs)/supervisor")
        supervisor.arguments = ["--config", fleet.configuration, "--quiet"]
        try supervisor.run()
        defer {
            supervisor.terminate()
            supervisor.waitUntilExit()
        }
        try waitForSocket(fleet)
        for _ in 0..<Self.restarts {
            _ = try control(fleet, ["restart", "Agent"])
            _ = try control(fleet, ["restart", "Sleep"])
        }
        let events = try control(fleet, ["rpc", "events"])
        return [("Agent", "SDK agent, to READY"), ("Sleep", "exec agent, to execve")].map { name, title in
            row(title, startTimes(of: name, in: events))
        }.joined(separator: "\n")
    }

    private func row(_ title: String, _ milliseconds: [Double]) -> String {
        let sorted = milliseconds.sorted()
        guard !sorted.isEmpty else { return "  \(title): no restart seen" }
        let p99 = sorted[min(sorted.count - 1, Int(Double(sorted.count) * 0.99))]
        return "  \(pad(title, 24)) median "
            + String(format: "%.1f ms, p99 %.1f ms, max %.1f ms (%d)", median(sorted), p99, sorted.last!, sorted.count)
    }

    /// From "→ starting" to "→ running", in milliseconds.
    private func startTimes(of agent: String, in text: String) -> [Double] {
        guard let report = try? JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any],
            let events = report["events"] as? [[String: Any]]
        else { return [] }
        var times: [Double] = []
        var startedAt: Double?
        for event in events where event["agent"] as? String == agent {
            guard let to = event["to"] as? String, let at = (event["at"] as? String).flatMap(seconds) else { continue }
            if to == "starting" { startedAt = at }
            if to == "running", let from = startedAt {
                times.append((at - from) * 1_000)
                startedAt = nil
            }
        }
        return times
    }

    /// Seconds of the day of "2026-01-31T12:34:56.123456Z".
    private func seconds(_ timestamp: String) -> Double? {
        let parts = timestamp.dropFirst(11).dropLast().split(separator: ":").compactMap { Double($0) }
        return parts.count == 3 ? parts[0] * 3_600 + parts[1] * 60 + parts[2] : nil
    }

    private func control(_ fleet: TemporaryFleet, _ arguments: [String]) throws -> String {
        try run("\(programs)/agentctl", ["--socket", fleet.socket] + arguments, seconds: Self.startSeconds)
    }

    private func waitForSocket(_ fleet: TemporaryFleet) throws {
        let deadline = Date().addingTimeInterval(Self.startSeconds)
        while (try? control(fleet, ["status"])) == nil {
            guard Date() < deadline else { throw BenchError(description: "the supervisor did not answer") }
        }
    }
}
