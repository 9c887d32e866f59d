import AgentKit
import Foundation
import Journal
import Market

@testable import Guardian
@testable import RiskSentinel

/// The states in which the agents of a storm have ended, from the snapshots of their orderly stop: what they believe, not
/// what they were told.
struct StormStates {
    var riskPositions: [String: Int64] = [:]
    var guardianPositions: [String: Int64] = [:]
    var guardianFills: UInt64
    var alpha: Alpha

    /// Of `StormAlpha.State`, which is another executable's.
    struct Alpha: Decodable {
        var proposed: Int
        var decided: Int
        var filledE8: Int64
    }

    /// Of a shell's snapshot.
    private struct Snapshot: Decodable {
        var state: Data
    }

    init(run: String, symbols: some Collection<String>) throws {
        let risk = try Self.state(RiskSentinel.State.self, of: "RiskSentinel", run)
        let guardian = try Self.state(Guardian.State.self, of: "Guardian.ai", run)
        alpha = try Self.state(Alpha.self, of: "StormAlpha", run)
        for symbol in Set(symbols).union(risk.account.symbols).union(guardian.keeper.symbols) {
            riskPositions[symbol] = risk.account.position(symbol).e8
            guardianPositions[symbol] = guardian.keeper.position(symbol).quantity.e8
        }
        guardianFills = guardian.keeper.fills
    }

    private static func state<State: Decodable>(_: State.Type, of agent: String, _ run: String) throws -> State {
        let directory = "\(run)/agents/\(agent)/\(JournalWriter.directoryName)"
        guard let found = try JournalReader.snapshot(in: directory, identity: agent) else {
            throw Program.Failed(description: "\(directory) has no snapshot")
        }
        let snapshot = try PropertyListDecoder().decode(Snapshot.self, from: Data(found.bytes))
        return try StateCoding.decode(State.self, from: [UInt8](snapshot.state))
    }

    /// What differs from the venue's own reports.
    func differences(from books: StormBooks) -> [String] {
        var wrong: [String] = []
        let positions = books.positions.filter { $0.value != 0 }
        let held = [("RiskSentinel", riskPositions), ("Guardian.ai", guardianPositions)]
        for (agent, all) in held where all.filter({ $0.value != 0 }) != positions {
            wrong.append("\(agent) holds \(all), the venue's fills come to \(positions)")
        }
        if guardianFills != books.fills.count {
            wrong.append("Guardian.ai has counted \(guardianFills) fills of \(books.fills.count)")
        }
        if alpha.proposed != books.proposals.count || alpha.decided != books.decisions.count {
            wrong.append("the alpha has proposed \(alpha.proposed) and heard of \(alpha.decided) decisions")
        }
        let filled = books.filledE8.values.reduce(0, +)
        if alpha.filledE8 != filled { wrong.append("the alpha has heard of \(alpha.filledE8) filled, of \(filled)") }
        return wrong
    }
}
