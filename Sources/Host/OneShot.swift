import Audit
import CLinux
import Foundation
import Supervision
import Wire

/// `supervisor --until-idle`: runs until every source is exhausted and everything in flight has been handled, stops in
/// order, and sums up. The thin shell around `IdleDetector`.
public final class OneShot {
    /// How the run ended.
    public enum Outcome: Equatable {
        /// Every source was exhausted and everything was handled.
        case completed
        /// Somebody asked to stop first.
        case interrupted
        /// It could not complete.
        case stuck(reason: String)
    }

    /// How often the counters are read once a source has said that it is exhausted.
    static let lookEveryMs: Int64 = 20
    /// Until then: a failed agent is noticed, and a source that is no SDK agent.
    static let patienceMs: Int64 = 500

    public private(set) var outcome = Outcome.interrupted

    private let supervisor: Supervisor
    private var detector = IdleDetector()
    private var isOver = false

    public init(_ supervisor: Supervisor) {
        self.supervisor = supervisor
        supervisor.inheritedEnvironment[AgentEnvironment.oneShot] = "1"
        supervisor.hooks.exhausted = { [unowned self] _ in look() }
        let transition = supervisor.hooks.transition
        supervisor.hooks.transition = { [unowned self] in
            transition($0)
            noteEnd(of: $0)
        }
        supervisor.loop.schedule(afterMs: Self.patienceMs) { [unowned self] in look() }
    }

    /// A run that one of its agents cannot take part in is over at once, with that agent's reason.
    private func noteEnd(of transition: Transition) {
        let agent = supervisor.agents[transition.id]
        guard !isOver, transition.to == .failed else { return }
        let reason = agent?.plan.errors.first?.description ?? agent?.trouble ?? "it has failed"
        end(.stuck(reason: "\(transition.id): \(reason)"))
    }

    private var isLooking = false

    private func look() {
        guard !isOver, !isLooking else { return }
        isLooking = true
        let activity = supervisor.activity()
        switch detector.observe(activity, at: EventLoop.now()) {
        case .idle: end(.completed)
        case .stuck(let reason): end(.stuck(reason: reason))
        case .working:
            let isNear = activity.agents.contains { $0.isSource && $0.isExhausted }
            supervisor.loop.schedule(afterMs: isNear ? Self.lookEveryMs : Self.patienceMs) { [unowned self] in
                isLooking = false
                look()
            }
        }
    }

    private func end(_ outcome: Outcome) {
        self.outcome = outcome
        isOver = true
        supervisor.requestStop()
    }

    /// What the run came to, from the run directory; also written to `<run>/summary.json`.
    public func summary() throws -> (text: String, saysNothing: Bool) {
        let restarts = Dictionary(
            uniqueKeysWithValues: supervisor.statusReport().agents.map { ($0.name, $0.restarts) })
        let summary = try RunSummary.load(
            runDirectory: supervisor.runDirectory.path, restarts: restarts, since: supervisor.startedAtInstant,
            graph: supervisor.plan.graph,
            pipelines: supervisor.plan.configuration.pipelines.map { ($0.name, Set($0.members)) })
        try summary.write(to: "\(supervisor.runDirectory.path)/summary.json")
        return (summary.text, summary.saysNothing)
    }
}

extension Supervisor {
    /// The counters of all agents at this moment.
    func activity() -> FleetActivity {
        var counting: Set<String> = []
        let agents = fleet.snapshot().map { view in
            let runtime = self.agents[view.id]
            var agent = FleetActivity.Agent(
                name: view.id.name, state: view.state, isSource: runtime?.plan.manifest.role == .ingest)
            guard let runtime, let process = runtime.process else { return agent }
            agent.isExhausted = runtime.isExhausted
            if let page = WireStatistics.loop(folder: runtime.folder, incarnation: process.incarnation.number) {
                counting.insert(view.id.name)
                agent.isExhausted = page.isExhausted
                agent.isBusy = page.isBusy
                agent.handled = page.handled
                agent.timers = page.timers
                agent.backlog = page.backlog
            }
            return agent
        }
        // An agent that is not built on the SDK keeps no counters: nothing can be said of its wires.
        let counted = graphReport().wires.filter {
            counting.contains($0.from.agent) && counting.contains($0.to.agent)
        }
        let wires = counted.map { wire in
            FleetActivity.Wire(
                name: "\(wire.from)>\(wire.to)", mayDrop: wire.delivery == .stream, sent: wire.sent ?? 0,
                received: wire.received ?? 0, lost: wire.dropped ?? 0)
        }
        return FleetActivity(agents: agents, wires: wires)
    }
}

extension WireStatistics {
    /// What an agent's loop says of itself.
    struct Loop {
        var isExhausted: Bool
        var isBusy: Bool
        var handled: UInt64
        var timers: UInt64
        var backlog: UInt64
    }

    static func loop(folder: String, incarnation: UInt64) -> Loop? {
        withPage(folder: folder, incarnation: incarnation) { page in
            Loop(
                isExhausted: page[.exhausted] != 0, isBusy: page[.busy] != 0, handled: page[.handled],
                timers: page[.timers], backlog: page[.backlog])
        }
    }
}
