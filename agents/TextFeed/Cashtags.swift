/// Finds the symbols that a text names as cashtags: "$AAPL", "$BRK.B", "$btc".
enum Cashtags {
    /// Symbols taken from one text.
    static let maximumSymbols = 16
    static let maximumLength = 12

    /// In the order of their first mention, in capitals, each once. A cashtag is `$`, a letter, then letters or digits,
    /// perhaps a class behind a point ("BRK.B"); not in the middle of a word, and no amount of money ("$100").
    static func symbols(in text: String) -> [String] {
        var found: [String] = []
        let bytes = Array(text.utf8)
        var index = 0
        while index < bytes.count, found.count < maximumSymbols {
            let isStart = bytes[index] == UInt8(ascii: "$") && (index == 0 || !isWord(bytes[index - 1]))
            guard isStart, let end = end(of: bytes, from: index + 1) else {
                index += 1
                continue
            }
            let symbol = String(decoding: bytes[index + 1..<end], as: UTF8.self).uppercased()
            if !found.contains(symbol) { found.append(symbol) }
            index = end
        }
        return found
    }

    /// End of the symbol that starts at `start`; nil when none does.
    private static func end(of bytes: [UInt8], from start: Int) -> Int? {
        guard start < bytes.count, isLetter(bytes[start]) else { return nil }
        var end = start
        while end < bytes.count, isLetter(bytes[end]) || isDigit(bytes[end]) { end += 1 }
        // A letter behind a point is a share class, unless a word begins there ("$AAPL.It").
        if end + 1 < bytes.count, bytes[end] == UInt8(ascii: "."), isLetter(bytes[end + 1]),
            end + 2 == bytes.count || !isWord(bytes[end + 2])
        {
            end += 2
        }
        guard end - start <= maximumLength, end == bytes.count || !isWord(bytes[end]) else { return nil }
        return end
    }

    private static func isLetter(_ byte: UInt8) -> Bool { (byte | 0x20) &- UInt8(ascii: "a") < 26 }
    private static func isDigit(_ byte: UInt8) -> Bool { byte &- UInt8(ascii: "0") < 10 }
    /// Bytes of other scripts' letters count as word bytes.
    private static func isWord(_ byte: UInt8) -> Bool {
        isLetter(byte) || isDigit(byte) || byte == UInt8(ascii: "_") || byte == UInt8(ascii: "$") || byte >= 0x80
    }
}
