import Wire

extension TraceStory {
    /// For people: one line a message on the way to the fill, aligned; then what else the trace led to.
    ///
    /// - Parameter showsChecks: with every check of a risk decision.
    public func text(colour: Bool = false, showsChecks: Bool = false) -> String {
        let style = TextStyle(isColoured: colour)
        var lines = [style.strong(headline)]
        if !isComplete {
            lines.append(
                style.bad(
                    "The beginning is missing: the first message known is \(hops[0].sinceOrigin.shortText) into the trace."
                ))
        }
        lines += ["", "  times are UTC; + is the time since the beginning; ‹on the wire, then in the agent› led to it"]
        lines += table(path, style, showsChecks)
        let others = hops.indices.filter { !path.contains($0) }
        if !others.isEmpty {
            lines += ["", style.strong("Also caused")]
            lines += table(others, style, showsChecks)
        }
        if !notes.isEmpty { lines += [""] + notes.map { style.bad("note: \($0)") } }
        return lines.joined(separator: "\n") + "\n"
    }

    private var headline: String {
        let last = hops[path.last ?? 0]
        let count = fills.count
        let outcome =
            count == 0
            ? "no fill; it came to a \(PayloadSummary.step(last.header.payloadType)) after \(last.sinceOrigin.shortText)"
            : "\(count) fill\(count == 1 ? "" : "s"), the first \(fills[0].sinceOrigin.shortText) after the beginning"
        return "Trace \(trace), \(WallTime.text(unixNs: originUnixNs)): \(outcome)"
    }

    private func table(_ indices: [Int], _ style: TextStyle, _ showsChecks: Bool) -> [String] {
        var table = TextTable([.left, .right, .right, .left, .left, .left])
        var checks: [Int: [String]] = [:]
        for (row, index) in indices.enumerated() {
            let hop = hops[index]
            table.add([
                WallTime.timeOfDay(unixNs: hop.sentUnixNs), "+" + hop.sinceOrigin.shortText,
                hop.cause.map { "‹\($0.wire.shortText), \($0.agent.shortText)›" } ?? "",
                step(hop), route(index), hop.summary,
            ])
            if showsChecks, case .riskDecision(let decision) = hop.payload { checks[row] = checkLines(decision) }
        }
        var lines: [String] = []
        for (row, line) in table.lines().enumerated() {
            let isFill = hops[indices[row]].isFill
            lines.append(isFill ? style.good(line) : line)
            lines += (checks[row] ?? []).map(style.faint)
        }
        return lines
    }

    private func step(_ hop: Hop) -> String {
        hop.isFill ? "fill" : PayloadSummary.step(hop.header.payloadType)
    }

    /// "AlphaScanner(1).signals #7 → NeuralArb(2)": agents with their incarnations. Those who acted on it are named;
    /// if nobody did, all who received it.
    private func route(_ index: Int) -> String {
        let hop = hops[index]
        let incarnation = hop.header.incarnation
        let from =
            hop.output.flatMap { PortID($0) }.map { "\($0.agent)(\(incarnation)).\($0.port)" }
            ?? "\(hop.producer ?? "?")(\(incarnation))"
        let actors = Set(path.filter { hops[$0].cause?.hop == index }.compactMap { hops[$0].producer })
        let acted = hop.deliveries.filter { actors.contains($0.agent) }
        let named = acted.isEmpty ? hop.deliveries : acted
        let others = hop.deliveries.count - named.count
        let to = named.map { "\($0.agent)(\($0.incarnation))" }.joined(separator: ", ")
        return "\(from) #\(hop.header.sequence) → \(to.isEmpty ? "nobody on record" : to)"
            + (others > 0 ? " and \(others) more" : "")
    }

    private func checkLines(_ decision: RiskDecision) -> [String] {
        PayloadSummary.checks(decision).map { check in
            "      check \(check.name): \(PayloadSummary.short(check.value)), limit \(PayloadSummary.short(check.limit))"
        }
    }
}
