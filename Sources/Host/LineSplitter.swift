/// Cuts a byte stream into lines. Pure; holds at most one line's beginning.
struct LineSplitter {
    /// A longer line is cut here and goes on in the next piece.
    static let maxLineBytes = 8 * 1024

    struct Line: Equatable {
        var bytes: [UInt8]
        /// This piece continues the one before it.
        var continues: Bool
        /// Bytes that had been fed when it ended, its newline included.
        var end = 0
    }

    private var begun: [UInt8] = []
    /// What comes next is the rest of a line that was cut.
    private(set) var continues = false
    /// Bytes fed so far.
    private(set) var total = 0

    init(continues: Bool = false) { self.continues = continues }

    var isEmpty: Bool { begun.isEmpty && !continues }

    mutating func feed(_ bytes: some Collection<UInt8>, into lines: inout [Line]) {
        var rest = bytes[...]
        while let newline = rest.firstIndex(of: 10) {
            append(rest[..<newline], into: &lines)
            total += 1
            end(into: &lines)
            rest = rest[rest.index(after: newline)...]
        }
        append(rest, into: &lines)
    }

    /// What has no newline yet becomes a line: nothing more will come.
    mutating func flush(into lines: inout [Line]) {
        if !begun.isEmpty { end(into: &lines) }
        continues = false
    }

    private mutating func append(_ part: some Collection<UInt8>, into lines: inout [Line]) {
        var part = part[...]
        while begun.count + part.count > Self.maxLineBytes {
            let cut = part.index(part.startIndex, offsetBy: Self.maxLineBytes - begun.count)
            begun.append(contentsOf: part[..<cut])
            total += part.distance(from: part.startIndex, to: cut)
            lines.append(Line(bytes: begun, continues: continues, end: total))
            begun.removeAll(keepingCapacity: true)
            continues = true
            part = part[cut...]
        }
        begun.append(contentsOf: part)
        total += part.count
    }

    private mutating func end(into lines: inout [Line]) {
        if begun.last == 13 { begun.removeLast() }
        lines.append(Line(bytes: begun, continues: continues, end: total))
        begun.removeAll(keepingCapacity: true)
        continues = false
    }
}
