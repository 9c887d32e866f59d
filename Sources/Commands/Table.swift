import Wire

/// Columns of text, aligned; cut to the terminal's width where a column may shrink.
package struct Table {
    package enum Alignment { case left, right }

    package struct Column {
        var title: String
        var alignment = Alignment.left
        /// May be cut (with …) down to `minimum` when the line is too long.
        var shrinksTo: Int?

        package init(title: String, alignment: Alignment = .left, shrinksTo: Int? = nil) {
            self.title = title
            self.alignment = alignment
            self.shrinksTo = shrinksTo
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
        let widths = widths(total: width)
        let titles = columns.map { Cell($0.title, .dim) }
        return ([titles] + rows).map { row in
            var line = ""
            var pending = 0
            for (index, cell) in row.enumerated() {
                let text = Self.cut(cell.text, to: widths[index])
                let blanks = widths[index] - text.count
                let before = columns[index].alignment == .right ? blanks : 0
                line += text.isEmpty ? "" : String(repeating: " ", count: pending + before)
                pending = text.isEmpty ? pending + blanks : columns[index].alignment == .right ? 0 : blanks
                line += Self.painted(text, colour ? cell.colour : nil)
                pending += 2
            }
            return line
        }
    }

    private func widths(total: Int) -> [Int] {
        var widths = columns.indices.map { index in
            max(columns[index].title.count, rows.map { $0[index].text.count }.max() ?? 0)
        }
        var excess = widths.reduce(2 * (widths.count - 1), +) - total
        for index in columns.indices.reversed() where excess > 0 {
            guard let minimum = columns[index].shrinksTo, widths[index] > minimum else { continue }
            let cut = min(excess, widths[index] - minimum)
            widths[index] -= cut
            excess -= cut
        }
        return widths
    }

    private static func cut(_ text: String, to width: Int) -> String {
        text.count <= width ? text : String(text.prefix(max(0, width - 1))) + "…"
    }

    private static func painted(_ text: String, _ colour: Colour?) -> String {
        guard let colour, !text.isEmpty else { return text }
        return "\u{1B}[\(colour.rawValue)m\(text)\u{1B}[0m"
    }
}
