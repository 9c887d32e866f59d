import AgentKit
import Glibc
import Wire

/// One station of a chain whose every link is durable: a feed counts from 1 to `count`, a relay sends the sum of what it
/// has seen and counts back to the feed, a sink knows what each sum must be. A message lost, taken twice or out of order
/// makes a sum wrong, and the sink fails.
///
/// An executable whose name ends in `-rebuilt` is of another opinion: its relay adds one to each sum. It stands for an agent
/// that was changed and built again.
@main struct DurableChain: DurableAgent {
    struct State: Codable, Sendable {
        var seen: UInt64 = 0
        var sum: Double = 0
        /// What came back over the wire that closes the cycle.
        var answered: UInt64 = 0
        var isTicking = false
    }

    var state = State()
    private let part: String
    private let count: UInt64
    private let out: OutputPort?
    private let back: OutputPort?
    private let factor: Double
    private let addend: Double

    init(_ start: AgentStart) throws {
        part = try start.settings.choice("part", default: "relay", of: ["feed", "relay", "sink"])
        count = UInt64(try start.settings.integer("count", default: 1_000, in: 1...1_000_000))
        factor = try start.settings.number("factor", default: 1, in: 0...10)
        addend = Self.executable.hasSuffix("-rebuilt") ? 1 : 0
        out = part == "sink" ? nil : try start.output("out", .signal)
        back = part == "relay" ? try start.output("back", .signal) : nil
    }

    private static var executable: String {
        var path = [UInt8](repeating: 0, count: 4_096)
        let count = path.withUnsafeMutableBytes { readlink("/proc/self/exe", $0.baseAddress!, $0.count) }
        return String(decoding: path.prefix(max(0, count)), as: UTF8.self)
    }

    mutating func handle(_ event: Event, at now: Instant, _ effects: inout Effects) {
        switch (part, event) {
        case ("feed", .start), ("feed", .turn): feed(&effects)
        case ("feed", .message): state.answered += 1
        case ("relay", .message(let message)): relay(message, at: now, &effects)
        case ("relay", .timer): state.isTicking = false
        case ("sink", .message(let message)): check(message, &effects)
        default: break
        }
    }

    private mutating func feed(_ effects: inout Effects) {
        for _ in 0..<8 {
            guard state.seen < count else { return effects.exhausted() }
            state.seen += 1
            send(Double(state.seen), on: out, &effects)
        }
        effects.requestTurn()
    }

    private mutating func relay(_ message: Message, at now: Instant, _ effects: inout Effects) {
        guard case .signal(let signal) = message.payload else { return }
        state.seen += 1
        state.sum += signal.value * factor
        send(state.sum + addend, on: out, &effects)
        send(signal.value, on: back, &effects)
        if !state.isTicking {
            state.isTicking = true
            effects.setTimer(TimerID(1), at: now + .milliseconds(1))
        }
    }

    private mutating func check(_ message: Message, _ effects: inout Effects) {
        guard case .signal(let signal) = message.payload else { return }
        state.seen += 1
        let wanted = Double(state.seen) * Double(state.seen + 1) / 2
        if signal.value != wanted { effects.fail("message \(state.seen) is \(signal.value), not \(wanted)") }
    }

    private func send(_ value: Double, on port: OutputPort?, _ effects: inout Effects) {
        guard let port else { return }
        var signal = Signal()
        signal.name = "chain"
        signal.value = value
        effects.send(.signal(signal), on: port)
    }
}
