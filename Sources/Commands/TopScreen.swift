/// What `top` draws: as many lines as the terminal has rows, none wider than it. The head of the table is always there. A value.
enum TopScreen {
    /// - Parameters:
    ///   - rows: of the terminal.
    ///   - footer: the last line; what has no room is counted before it.
    static func lines(_ parts: StatusTable.Parts, rows: Int, width: Int, footer: String) -> [String] {
        // Beside the head: the titles, one agent, the footer.
        let head = parts.head.prefix(max(1, rows - 3))
        let room = max(0, rows - head.count - 2)
        // Who is failed, and why, is worth a third of it.
        let notes = parts.notes.prefix(max(room - parts.rows.count, room / 3))
        let agents = parts.rows.prefix(room - notes.count)
        var last = footer
        let hidden = [
            count(parts.rows.count - agents.count, "agent"), count(parts.notes.count - notes.count, "note"),
        ].compactMap { $0 }
        if !hidden.isEmpty { last = "\(hidden.joined(separator: ", ")) not shown; " + last }
        let lines =
            head.map { $0.clipped(to: width) } + [parts.titles] + agents + notes.map { $0.clipped(to: width) }
            + [last.clipped(to: width)]
        return Array(lines.prefix(max(1, rows)))
    }

    private static func count(_ count: Int, _ noun: String) -> String? {
        count <= 0 ? nil : count == 1 ? "1 \(noun)" : "\(count) \(noun)s"
    }
}
