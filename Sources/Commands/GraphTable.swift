import Wire

/// `graph` as text: one wire a line, in the order of the flow where there is one.
enum GraphTable {
    static func lines(_ report: GraphReport, width: Int, colour: Bool) -> [String] {
        var table = Table([
            .init(title: "FROM", shrinksTo: 14), .init(title: "TO", shrinksTo: 14),
            .init(title: "TYPE", shrinksTo: 8), .init(title: "DELIVERY"), .init(title: "SENT", alignment: .right),
            .init(title: "RECEIVED", alignment: .right), .init(title: "LOST", alignment: .right),
            .init(title: "DUP", alignment: .right), .init(title: "P50", alignment: .right),
            .init(title: "P99", alignment: .right), .init(title: "MAX", alignment: .right),
        ])
        table.rows = report.wires.map { wire in
            // A stream may drop; on any other wire a loss is a defect.
            let lossColour: Table.Colour? = wire.dropped ?? 0 == 0 ? nil : wire.delivery == .stream ? .yellow : .red
            return [
                .init("\(wire.from)"), .init("\(wire.to)"), .init(wire.type),
                .init(wire.delivery.rawValue + (wire.feedback ? " ↺" : "")), .init(count(wire.sent)),
                .init(count(wire.received)), .init(count(wire.dropped), lossColour),
                .init(count(wire.duplicates), wire.duplicates ?? 0 > 0 ? .red : nil),
                .init(Quantity.nanoseconds(wire.latencyP50Ns)), .init(Quantity.nanoseconds(wire.latencyP99Ns)),
                .init(Quantity.nanoseconds(wire.latencyMaxNs)),
            ]
        }
        let loners = loners(report)
        var lines = table.lines(width: width, colour: colour)
        if report.wires.contains(where: \.feedback) { lines.append("↺ closes a cycle: nobody waits for it at start") }
        let mute = mute(report)
        if !mute.isEmpty {
            lines.append("-: not counted, as these are not built on AgentKit: \(mute.joined(separator: ", "))")
        }
        if !loners.isEmpty { lines.append("without wires: \(loners.joined(separator: ", "))") }
        return lines
    }

    private static func count(_ count: UInt64?) -> String { count.map { "\($0)" } ?? "-" }

    /// Agents that keep no counters, in the order of the report.
    private static func mute(_ report: GraphReport) -> [String] {
        let senders = report.wires.filter { $0.sent == nil }.map(\.from.agent)
        let receivers = report.wires.filter { $0.received == nil }.map(\.to.agent)
        let mute = Set(senders + receivers)
        return report.agents.map(\.name).filter(mute.contains)
    }

    private static func loners(_ report: GraphReport) -> [String] {
        let wired = Set(report.wires.flatMap { [$0.from.agent, $0.to.agent] })
        return report.agents.map(\.name).filter { !wired.contains($0) }
    }
}
