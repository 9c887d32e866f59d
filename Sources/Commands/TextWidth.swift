/// Text in a terminal's columns.
extension StringProtocol {
    /// Columns that it takes: two for what East Asian scripts and pictures are drawn with (Unicode Standard Annex 11), else one a
    /// character.
    var columns: Int {
        utf8.allSatisfy { $0 < 0x80 } ? utf8.count : reduce(0) { $0 + $1.columns }
    }

    /// Not more than `width` columns, with … where something is missing.
    func clipped(to width: Int) -> String {
        guard columns > width else { return String(self) }
        guard width > 0 else { return "" }
        var room = width - 1
        let kept = prefix { character in
            room -= character.columns
            return room >= 0
        }
        return kept + "…"
    }

    /// Lines of at most `width` columns, broken at blanks, all but the first indented. Only a word longer than a line is broken
    /// itself.
    func folded(to width: Int) -> [String] {
        guard columns > width, width > Self.indent.count else { return [String(self)] }
        var lines: [String] = []
        var line = ""
        func breakLine() {
            lines.append(line)
            line = Self.indent
        }
        for (index, word) in split(separator: " ", omittingEmptySubsequences: false).enumerated() {
            let isFresh = lines.isEmpty ? index == 0 : line == Self.indent
            if isFresh {
                line += word
            } else if line.columns + 1 + word.columns <= width {
                line += " " + word
            } else {
                breakLine()
                line += word
            }
            while line.columns > width {
                let part = line.prefix(fitting: width)
                let rest = line[part.endIndex...]
                lines.append(String(part))
                line = Self.indent + rest
            }
        }
        return lines + [line]
    }

    private static var indent: String { "  " }

    private func prefix(fitting width: Int) -> SubSequence {
        var room = width
        return prefix { character in
            room -= character.columns
            return room >= 0
        }
    }
}

extension Character {
    private static let wide: [ClosedRange<UInt32>] = [
        0x1100...0x115F, 0x2E80...0x303E, 0x3041...0xA4CF, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F,
        0xFF00...0xFF60,
        0xFFE0...0xFFE6, 0x1F300...0x1F64F, 0x1F680...0x1F6FF, 0x1F900...0x1FAFF, 0x20000...0x3FFFD,
    ]

    fileprivate var columns: Int {
        guard let value = unicodeScalars.first?.value, value >= 0x1100 else { return 1 }
        return Self.wide.contains { $0.contains(value) } ? 2 : 1
    }
}
