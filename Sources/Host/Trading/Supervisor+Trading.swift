import CLinux
import Foundation
import Supervision
import Wire

/// What the desk for trading states needs of the supervisor.
extension Supervisor {
    func openTradingDesk() {
        trading = TradingDesk(
            journal: OperatorJournal(directory: runDirectory.operatorJournal), link: link, loop: loop,
            surroundings: TradingDesk.Surroundings(
                gates: { [unowned self] in tradingGates() },
                consumers: { [unowned self] in consumers(ofGate: $0) },
                describe: { [unowned self] in
                    let state = fleet.view(of: AgentID($0))?.state
                    return state == .running ? $0 : "\($0) (\(state?.rawValue ?? "unknown"))"
                },
                tell: { [unowned self] in
                    record(kind: "trading", message: $0)
                    console.line($0)
                },
                stop: { [unowned self] in stopGate($0) }))
    }

    func trade(_ order: TradingOrder, _ request: ControlRequest, _ client: ControlClient) {
        guard !(order.mayLoosen && isStopping) else {
            return client.refuse(
                request.id, ControlError(.shuttingDown, "the supervisor is stopping; nothing has changed"))
        }
        trading.carryOut(order, by: client.peer) { [weak client] outcome in
            switch outcome {
            case .success(let report): client?.answer(request.id, report)
            case .failure(let error): client?.refuse(request.id, error)
            }
        }
    }

    /// Agents of role risk that take the operator's commands.
    private func tradingGates() -> [String] {
        let commanded = Set(plan.graph.edges.filter { $0.source == OperatorPort.id }.map(\.target.agent))
        return plan.graph.agents.filter { $0.role == .risk && commanded.contains($0.name) }.map(\.name)
    }

    /// From the gate's own counters: what it has sent to each consumer, and what that has acknowledged.
    private func consumers(ofGate name: String) -> [TradingWait.Consumer]? {
        guard let agent = agents[AgentID(name)], let incarnation = agent.process?.incarnation else { return nil }
        // Who is switched off by the configuration holds no order, and learns the state when it is switched on.
        let absent = Set(
            plan.graph.agents.filter { !$0.startsWithFleet && fleet.view(of: AgentID($0.name))?.pid == nil }.map(\.name)
        )
        let edges = plan.graph.edges.filter {
            $0.source.agent == name && $0.type == OperatorPort.type.name && !absent.contains($0.target.agent)
        }
        return WireStatistics.withPage(folder: agent.folder, incarnation: incarnation.number) { page in
            var rows: [String: StatsWireView] = [:]
            for index in 0..<page.wireCount where page.wire(index)[.sends] != 0 {
                rows[page.wire(index).name] = page.wire(index)
            }
            var consumers: [String: TradingWait.Consumer] = [:]
            for edge in edges {
                let row = rows["\(edge.source)>\(edge.target)"]
                var consumer = TradingWait.Consumer(
                    agent: edge.target.agent, isDurable: row.map { $0[.isDurable] != 0 } ?? false,
                    sent: row?[.messages] ?? 0, acked: row?[.acked] ?? 0)
                if let other = consumers[consumer.agent] {
                    consumer.isDurable = consumer.isDurable && other.isDurable
                    // The one that is further behind counts.
                    if other.sent &- other.acked > consumer.sent &- consumer.acked {
                        (consumer.sent, consumer.acked) = (other.sent, other.acked)
                    }
                }
                consumers[consumer.agent] = consumer
            }
            return consumers.values.sorted { $0.agent < $1.agent }
        }
    }

    private func stopGate(_ name: String) {
        let pending = CommandTable.Pending(verb: "stop", client: nil, requestID: nil, agents: [name])
        submit(.stop(commands.register(pending, agent: name), AgentID(name)))
    }
}
