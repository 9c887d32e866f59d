import AgentKit
import SwiftProtobuf
import Testing
import Wire

/// Sums what comes; every third message, and a timer, say the sum.
struct Summer: DurableAgent {
    struct State: Codable, Sendable {
        var sum = 0.0
        var seen = 0
        var bySymbol: [String: Double] = [:]
    }

    var state = State()
    let out: OutputPort

    init(_ start: AgentStart) throws { out = try start.output("out", .signal) }

    mutating func handle(_ event: Event, at now: Instant, _ effects: inout Effects) {
        switch event {
        case .message(let message):
            guard case .signal(let signal) = message.payload else { return }
            state.sum += signal.value
            state.seen += 1
            state.bySymbol[signal.symbol, default: 0] += signal.value
            if state.seen % 3 == 0 { say(&effects) }
            effects.setTimer(TimerID(1), at: now + .seconds(1))
        case .timer: say(&effects)
        case .start, .turn, .stop: break
        }
    }

    private func say(_ effects: inout Effects) {
        effects.send(.signal(Signal.with { $0.value = state.sum }), on: out)
    }
}

/// As `Summer`, but counts outside of its state.
struct Forgetful: DurableAgent {
    struct State: Codable, Sendable { var sum = 0.0 }

    var state = State()
    var seen = 0
    let out: OutputPort

    init(_ start: AgentStart) throws { out = try start.output("out", .signal) }

    mutating func handle(_ event: Event, at now: Instant, _ effects: inout Effects) {
        guard case .message = event else { return }
        seen += 1
        effects.send(.signal(Signal.with { $0.value = Double(seen) }), on: out)
    }
}

@Suite struct DurableBenchTests {
    private func bench<A: DurableAgent>(_: A.Type) throws -> AgentBench<A> {
        var bench = try AgentBench<A>(inputs: [.init("in", .signal)], outputs: [.init("out", .signal)])
        bench.start()
        for number in 1...20 {
            bench.receive(.signal(Signal.with { $0.value = Double(number) }), on: "in")
            if number % 5 == 0 { bench.advance(by: .seconds(2)) }
        }
        bench.stop()
        return bench
    }

    @Test func aStateThatHoldsEverythingPasses() throws {
        try bench(Summer.self).checkReplay()
        try bench(Summer.self).checkReplay(restoringEvery: 7)
    }

    @Test func whatIsOutsideOfTheStateIsNamed() throws {
        let bench = try bench(Forgetful.self)
        let difference = #expect(throws: ReplayDifference.self) { try bench.checkReplay(restoringEvery: 10) }
        #expect(difference?.event == 10)
        #expect(difference.map { "\($0)".contains("in `state`") } == true)
    }

    @Test func aStateOfAnotherTypeIsRefused() throws {
        let bytes = try StateCoding.encode(Summer.State())
        struct Other: Codable { var unknown: Int }
        #expect(throws: AgentFailure.self) { try StateCoding.decode(Other.self, from: bytes) }
    }

    @Test func equalStatesGiveEqualBytes() throws {
        var state = Summer.State()
        for number in 0..<50 { state.bySymbol["S\(number)"] = Double(number) }
        var other = Summer.State()
        for number in (0..<50).reversed() { other.bySymbol["S\(number)"] = Double(number) }
        #expect(try StateCoding.encode(state) == StateCoding.encode(other))
    }
}
