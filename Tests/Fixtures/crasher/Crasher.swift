import AgentKit
import Glibc
import Wire

/// An agent with a defect: traps a moment after its start, with words and a stack worth reading. One that is `calm` has
/// none, and takes its time with its settings when they name a `gate`: it is made once that file is there.
@main struct Crasher: Agent {
    let kind: String
    /// A gate that never opens is not waited for any longer: seconds.
    static let patience = 60

    init(_ start: AgentStart) throws {
        kind = try start.settings.choice("kind", default: "fatal", of: ["fatal", "index", "refuse", "calm"])
        if kind == "refuse" { throw AgentFailure("'settings.kind' is refuse: correct agent.json") }
        let gate = try start.settings.text("gate", default: "")
        guard !gate.isEmpty else { return }
        // Tells that it is being waited for.
        close(open("\(gate).waiting", O_WRONLY | O_CREAT, 0o600))
        for _ in 0..<(Self.patience * 100) where access(gate, F_OK) != 0 { usleep(10_000) }
    }

    mutating func handle(_ event: Event, at now: Instant, _ effects: inout Effects) {
        switch event {
        case .start where kind == "calm": break
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
