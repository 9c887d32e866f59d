extension StringProtocol {
    /// As one line that is safe to print: characters that a terminal acts on instead of showing them (C0 and C1 controls,
    /// line separators, changes of direction) are escaped as in a Swift literal. Names of files, and what manifests and other
    /// users' processes say, reach people's terminals only so.
    public var visible: String { visible(keeping: []) }

    /// The same of several lines.
    public var visibleLines: String { visible(keeping: ["\n"]) }

    private func visible(keeping kept: [Unicode.Scalar]) -> String {
        if utf8.allSatisfy({ 0x20 <= $0 && $0 < 0x7F }) { return String(self) }
        var text = ""
        for scalar in unicodeScalars {
            if !scalar.steersTerminals || kept.contains(scalar) {
                text.unicodeScalars.append(scalar)
            } else {
                text += Self.escape(scalar)
            }
        }
        return text
    }

    private static func escape(_ scalar: Unicode.Scalar) -> String {
        switch scalar {
        case "\n": "\\n"
        case "\r": "\\r"
        case "\t": "\\t"
        default: "\\u{\(String(scalar.value, radix: 16, uppercase: true))}"
        }
    }
}

extension Unicode.Scalar {
    /// Controls, line and paragraph separators, embeddings, overrides and isolates of direction.
    fileprivate var steersTerminals: Bool {
        switch value {
        case 0..<0x20, 0x7F...0x9F, 0x200E, 0x200F, 0x2028...0x202E, 0x2066...0x2069: true
        default: false
        }
    }
}
