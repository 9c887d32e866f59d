import Wire

/// Columns of text, aligned. On a narrow terminal some shrink and others are left out, until a row is one line.
package struct Table {
    package enum Alignment { case left, right }

    package struct Column {
        var title: String
        var alignment = Alignment.left
        /// May be cut (with …) down to `minimum` when the line is too long.
        var shrinksTo: Int?
        /// Left out when shrinking is not enough, the lowest first; nil: never.
        var leaves: Int?

        package init(title: String, alignment: Alignment = .left, shrinksTo: Int? = nil, leaves: Int? = nil) {
            self.title = title
            self.alignment = alignment
            self.shrinksTo = shrinksTo
            self.leaves = leaves
        }
    }

    package struct Cell {
        var text: String
        var colour: Colour?

        package init(_ text: String, _ colour: Colour? = nil) {
            // One row is one line, whatever an agent put into its status text.
            self.text = text.visible
            self.colour = colour
        }
    }

    package enum Colour: Int {
        case red = 31
        case green = 32
        case yellow = 33
        case dim = 2
    }

    var columns: [Column]
    package var rows: [[Cell]] = []

    package init(_ columns: [Column]) { self.columns = columns }

    /// Lines without trailing blanks, the titles first.
    package func lines(width: Int, colour: Bool) -> [String] {
        let layout = layout(total: width)
        let titles = columns.map { Cell($0.title, .dim) }
        return ([titles] + rows).map { row in
            var line = ""
            var pending = 0
            for (index, width) in layout {
                let cell = row[index]
                let text = cell.text.clipped(to: width)
                let blanks = width - text.columns
                let before = columns[index].alignment == .right ? blanks : 0
                line += text.isEmpty ? "" : String(repeating: " ", count: pending + before)
                pending = text.isEmpty ? pending + blanks : columns[index].alignment == .right ? 0 : blanks
                line += Self.painted(text, colour ? cell.colour : nil)
                pending += Self.gap
            }
            return line
        }
    }

    /// Titles of the columns that have no room.
    func missing(width: Int) -> [String] {
        let shown = Set(layout(total: width).map(\.column))
        return columns.indices.filter { !shown.contains($0) }.map { columns[$0].title }
    }

    private static let gap = 2

    /// The columns that are shown, and how wide each is.
    private func layout(total: Int) -> [(column: Int, width: Int)] {
        var widths = columns.indices.map { index in
            max(columns[index].title.columns, rows.map { $0[index].text.columns }.max() ?? 0)
        }
        var shown = Array(columns.indices)
        func excess(_ width: (Int) -> Int) -> Int {
            shown.reduce(Self.gap * (shown.count - 1)) { $0 + width($1) } - total
        }
        var leaving = shown.filter { columns[$0].leaves != nil }.sorted { columns[$0].leaves! < columns[$1].leaves! }[
            ...]
        while excess({ min(widths[$0], columns[$0].shrinksTo ?? widths[$0]) }) > 0, let next = leaving.popFirst() {
            shown.removeAll { $0 == next }
        }
        for index in shown.reversed() {
            let excess = excess { widths[$0] }
            guard excess > 0, let minimum = columns[index].shrinksTo, widths[index] > minimum else { continue }
            widths[index] -= min(excess, widths[index] - minimum)
        }
        // Where columns may leave, the row is to fit at any price; else none of it is given up, and it may wrap.
        guard columns.contains(where: { $0.leaves != nil }) else { return shown.map { ($0, widths[$0]) } }
        while excess({ widths[$0] }) > 0, let widest = shown.max(by: { widths[$0] < widths[$1] }) {
            if widths[widest] > 1 { widths[widest] -= 1 } else { shown.removeLast() }
        }
        return shown.map { ($0, widths[$0]) }
    }

    private static func painted(_ text: String, _ colour: Colour?) -> String {
        guard let colour, !text.isEmpty else { return text }
        return "\u{1B}[\(colour.rawValue)m\(text)\u{1B}[0m"
    }
}
