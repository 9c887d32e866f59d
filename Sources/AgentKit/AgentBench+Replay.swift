import Wire

/// Where a replay differed from the first time.
public struct ReplayDifference: Error, Equatable, Sendable, CustomStringConvertible {
    /// Number of the event, from 0.
    public var event: Int
    public var first: String
    public var again: String

    public var description: String {
        "event \(event) gave\n  \(first)\nand, from a restored state,\n  \(again)\n"
            + "Something that `handle` decides on is not in `state`, or it depends on the order of a Set or Dictionary"
    }
}

extension AgentBench where A: DurableAgent {
    /// The replay check: gives everything that this bench has seen so far to a second agent, which on the way is written to a
    /// snapshot and restored into a fresh agent again and again (before every `interval`-th event), as after a crash at
    /// each of these moments. Throws `ReplayDifference` at the first effect (message, timer, turn, failure) that is not
    /// the same, byte for byte. Call it at the end of a test.
    public func checkReplay(restoringEvery interval: Int = 1) throws {
        precondition(interval > 0)
        // Twice: without snapshots first, so that a difference of the second pass is known to be one of the state.
        try replay { _ in false }
        try replay { $0.isMultiple(of: interval) }
    }

    private func replay(restoringBefore isCut: (Int) -> Bool) throws {
        var agent = try remake()
        var effects = Effects()
        for (index, step) in history.enumerated() {
            if isCut(index) { agent = try restored(from: agent) }
            effects.removeAll()
            agent.handle(step.event, at: step.at, &effects)
            let first = try step.effects.compactMap(outcome)
            let again = try effects.list.compactMap(outcome)
            guard first == again else {
                throw ReplayDifference(event: index, first: text(first), again: text(again))
            }
        }
    }

    /// A fresh agent with the state of `agent`, as a snapshot would carry it over.
    private func restored(from agent: A) throws -> A {
        var fresh = try remake()
        fresh.state = try StateCoding.decode(A.State.self, from: StateCoding.encode(agent.state))
        return fresh
    }

    /// What of an effect must be the same; nil for what may differ (log lines, counters).
    private func outcome(_ effect: Effects.Effect) throws -> (Outcome)? {
        switch effect {
        case .send(let payload, let port, let cause):
            Outcome(
                bytes: try payload.encoded().bytes,
                text: "\(registry.outputs[port.index].name): \(payload) \(cause.map { "\($0)" } ?? "")")
        case .setTimer(let timer, let instant): Outcome(text: "timer \(timer.number) at \(instant.nanoseconds)")
        case .cancelTimer(let timer): Outcome(text: "no timer \(timer.number)")
        case .requestTurn(let instant): Outcome(text: "turn from \(instant.nanoseconds)")
        case .exhausted: Outcome(text: "exhausted")
        case .fail(let failure): Outcome(text: "failure: \(failure)")
        case .log, .count: nil
        }
    }

    private struct Outcome: Equatable {
        var bytes: [UInt8] = []
        var text: String
    }

    private func text(_ outcomes: [Outcome]) -> String {
        outcomes.isEmpty ? "nothing" : outcomes.map(\.text).joined(separator: "; ")
    }
}
