import Market
import Wire

extension RunSummary {
    /// For people: what happened, aligned, one block a subject.
    public var text: String {
        var lines = ["Run summary, \(duration.shortText)"]
        func block(_ title: String, _ table: TextTable) {
            guard !table.isEmpty else { return }
            lines += ["", title] + table.lines()
        }
        block("Wires", wireTable)
        block("Signals", signalTable)
        block("Order path", orderTable)
        block("Portfolio", portfolioTable)
        block("End to end (from the tick that caused it)", latencyTable)
        block("Agents", agentTable)
        let notes = notes + portfolio.problems
        if !notes.isEmpty { lines += [""] + notes.map { "note: \($0)" } }
        return lines.joined(separator: "\n") + "\n"
    }

    private var wireTable: TextTable {
        var table = TextTable([.left, .left, .right, .right, .right, .right, .right, .right, .right])
        guard !wires.isEmpty else { return table }
        table.add(["from > to", "", "sent", "received", "lost", "duplicates", "p50", "p99", "max"])
        for wire in wires {
            let delivery = wire.delivery?.rawValue ?? ""
            let duplicates = "\(wire.duplicates)" + (wire.fenced > 0 ? " +\(wire.fenced) fenced" : "")
            table.add(
                [
                    wire.name, delivery, wire.sent.map { "\($0)" } ?? "", "\(wire.messages)", "\(wire.lost)",
                    duplicates,
                ] + cells(wire.hop))
        }
        return table
    }

    private var signalTable: TextTable {
        var table = TextTable([.left, .right])
        for signal in signals { table.add([signal.agent, "\(signal.count)"]) }
        return table
    }

    private var orderTable: TextTable {
        var table = TextTable([.left, .right, .left])
        table.add(["proposals", "\(trading.proposalCount)", list(trading.proposals)])
        let nothing = trading.sizedToNothing
        table.add(["sized", "\(trading.sized)", nothing > 0 ? "\(nothing) to nothing" : ""])
        table.add(["decisions", "\(trading.decisionCount)", list(trading.decisions)])
        if !trading.reasons.isEmpty { table.add(["  reasons", "", list(trading.reasons)]) }
        table.add(["orders", "\(trading.orders)", list(trading.orderStates)])
        table.add(["fills", "\(trading.fillCount)", ""])
        return table
    }

    private var portfolioTable: TextTable {
        var table = TextTable([.left, .right, .left])
        for holding in portfolio.holdings {
            let position = holding.position
            let average = position.averagePrice.map { ", average \($0)" } ?? ""
            let mark = holding.mark.map { ", mark \($0) (\(holding.markSource))" } ?? ""
            table.add([
                holding.symbol, "\(position.quantity)",
                "bought \(holding.bought), sold \(holding.sold)\(position.quantity.isZero ? "" : average + mark)",
            ])
        }
        table.add(["realised", "\(portfolio.totals.realised)", ""])
        table.add(["unrealised", "\(portfolio.totals.unrealised)", ""])
        table.add(["fees", "\(portfolio.totals.fees)", ""])
        table.add(["P&L after fees", "\(portfolio.profit)", ""])
        return table
    }

    private var latencyTable: TextTable {
        var table = TextTable([.left, .left, .left, .right, .right, .right, .right])
        guard !latencies.isEmpty else { return table }
        table.add(["pipeline", "to", "wire", "messages", "p50", "p99", "max"])
        for line in latencies {
            table.add([line.pipeline, line.end, line.wire, "\(line.latency.count)"] + cells(line.latency))
        }
        return table
    }

    private var agentTable: TextTable {
        var table = TextTable([.left, .right, .right, .right, .left])
        guard !agents.isEmpty else { return table }
        table.add(["", "restarts", "handled", "malformed", "counters"])
        for agent in agents {
            let counters = agent.counters.filter { $0.value > 0 }.map { "\($0.name) \($0.value)" }.joined(
                separator: ", ")
            table.add([agent.name, "\(agent.restarts)", "\(agent.handled)", "\(agent.malformed)", counters])
        }
        return table
    }

    private func cells(_ latency: Latency) -> [String] {
        guard latency.count > 0 else { return ["", "", ""] }
        return [latency.median.shortText, latency.p99.shortText, latency.max.shortText]
    }

    /// "block 3, approve 2": most first.
    private func list(_ counts: [String: Int]) -> String {
        counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map { "\($0.key) \($0.value)" }.joined(
            separator: ", ")
    }
}
