import Testing
import Wire

@testable import Supervision

/// A fleet in the test's hand: says what happened and when, and keeps what the fleet wants done.
struct Script {
    var fleet: Fleet
    var now = Instant(nanoseconds: 1_000_000_000)
    /// Of the last event.
    var effects: [FleetEffect] = []
    var jitter: UInt64 = .max

    init(_ agents: [AgentSpec], groups: [GroupSpec] = [], remembering: [AgentMemory] = []) throws {
        fleet = Fleet(try FleetSpec(agents: agents, groups: groups), remembering: remembering, at: now)
    }

    @discardableResult
    mutating func tell(_ event: FleetEvent, after wait: Nanoseconds = .zero) -> [FleetEffect] {
        now = now + wait
        effects.removeAll()
        fleet.handle(event, at: now, jitter: jitter, into: &effects)
        return effects
    }

    // MARK: Short cuts

    func phase(_ id: AgentID) -> AgentPhase { fleet.slots[fleet.index[id]!].machine.phase }
    func state(_ id: AgentID) -> AgentState { fleet.view(of: id)!.state }
    func incarnation(_ id: AgentID) -> Incarnation { fleet.view(of: id)!.incarnation }

    /// Answers the spawn that is pending: the process exists and, with readiness notify, says READY.
    mutating func comeUp(_ ids: AgentID...) {
        for id in ids {
            tell(.spawned(id, incarnation(id), pid: 100))
            tell(.ready(id, incarnation(id)))
        }
    }

    mutating func exit(_ id: AgentID, code: Int32 = 1, after wait: Nanoseconds = .zero) {
        tell(.exited(id, incarnation(id), ExitReport(.exited(code: code))), after: wait)
    }

    mutating func empty(_ id: AgentID) { tell(.treeEmpty(id, incarnation(id))) }

    /// The leader ends and nothing is left of its tree. Effects of both steps.
    mutating func die(_ id: AgentID, code: Int32 = 1, after wait: Nanoseconds = .zero) {
        exit(id, code: code, after: wait)
        let first = effects
        empty(id)
        effects = first + effects
    }

    /// To the armed deadline of the agent, and on.
    mutating func untilTimer(_ id: AgentID) {
        guard let deadline = phase(id).deadline else { return }
        now = max(now, deadline)
        tell(.timer(id))
    }

    var spawned: [AgentID] {
        effects.compactMap { if case .spawn(let id, _) = $0 { id } else { nil } }
    }

    var signalled: [AgentID] {
        effects.compactMap { if case .signal(let id, _, _) = $0 { id } else { nil } }
    }

    var killed: [AgentID] {
        effects.compactMap { if case .killTree(let id, _) = $0 { id } else { nil } }
    }

    var reports: [TerminalReport] {
        effects.compactMap { if case .ended(_, let report) = $0 { report } else { nil } }
    }

    var replies: [CommandID: CommandOutcome] {
        var replies: [CommandID: CommandOutcome] = [:]
        for case .reply(let command, let outcome) in effects { replies[command] = outcome }
        return replies
    }

    /// What the agent's timer was set to; nil: not touched.
    func armed(_ id: AgentID) -> Instant?? {
        var last: Instant??
        for case .arm(id, let deadline) in effects { last = .some(deadline) }
        return last
    }
}

extension AgentSpec {
    /// An agent with everything short and no jitter worth speaking of.
    static func plain(_ id: AgentID, _ change: (inout AgentSpec) -> Void = { _ in }) -> AgentSpec {
        var spec = AgentSpec(id: id, startTimeout: .seconds(10), stop: StopPolicy(timeout: .seconds(5)))
        change(&spec)
        return spec
    }
}
