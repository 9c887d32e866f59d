import Wire

/// `graph` as text: one wire a line, in the order of the flow where there is one.
enum GraphTable {
    static func lines(_ report: GraphReport, width: Int, colour: Bool) -> [String] {
        // A message that came twice is a defect: seen on any terminal.
        let hasDuplicates = report.wires.contains { $0.duplicates ?? 0 > 0 }
        var table = Table([
            .init(title: "FROM", shrinksTo: 20), .init(title: "TO", shrinksTo: 20),
            .init(title: "TYPE", shrinksTo: 8, leaves: 4), .init(title: "DELIVERY", leaves: 5),
            .init(title: "SENT", alignment: .right, leaves: 7), .init(title: "RECEIVED", alignment: .right, leaves: 8),
            .init(title: "LOST", alignment: .right),
            .init(title: "DUP", alignment: .right, leaves: hasDuplicates ? nil : 3),
            .init(title: "P50", alignment: .right, leaves: 2), .init(title: "P99", alignment: .right, leaves: 6),
            .init(title: "MAX", alignment: .right, leaves: 1),
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
        var text: [String] = []
        if report.wires.contains(where: \.feedback) { text.append("↺ closes a cycle: nobody waits for it at start") }
        let mute = mute(report)
        if !mute.isEmpty {
            text.append("-: not counted, as these are not built on AgentKit: \(mute.joined(separator: ", "))")
        }
        if !loners.isEmpty { text.append("without wires: \(loners.joined(separator: ", "))") }
        let missing = table.missing(width: width)
        if !missing.isEmpty { text.append(StatusTable.wanting(missing)) }
        return table.lines(width: width, colour: colour) + text.flatMap { $0.folded(to: width) }
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
