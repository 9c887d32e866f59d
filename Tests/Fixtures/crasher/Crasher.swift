import AgentKit
import Wire

/// An agent with a defect: traps a moment after its start, with words and a stack worth reading.
@main struct Crasher: Agent {
    let kind: String

    init(_ start: AgentStart) throws {
        kind = try start.settings.choice("kind", default: "fatal", of: ["fatal", "index", "refuse"])
        if kind == "refuse" { throw AgentFailure("'settings.kind' is refuse: correct agent.json") }
    }

    mutating func handle(_ event: Event, at now: Instant, _ effects: inout Effects) {
        switch event {
        case .start: effects.setTimer(TimerID(1), at: now + .milliseconds(50))
        case .timer: fallOver([])
        case .message, .turn, .stop: break
        }
    }

    @inline(never) private func fallOver(_ prices: [Int]) {
        if kind == "index" { _ = prices[7] }
        fatalError("the book is \(kind)")
    }
}
