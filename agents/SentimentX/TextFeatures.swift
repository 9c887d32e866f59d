/// Turns a text into the buckets of its hashed features: the counterpart of `tokens` and `buckets` in train.py, byte
/// for byte. Words, word pairs and character 4- and 5-grams, hashed with FNV-1a (Weinberger et al. 2009).
///
/// Keeps its buffers between texts, so that nothing is allocated once they have grown. Not thread-safe.
struct TextFeatures {
    /// Bytes of UTF-8 looked at; what follows in a longer text does not count.
    static let maxTextBytes = 4_096

    /// Distinct buckets in ascending order; the result of `read`.
    private(set) var buckets: [UInt32] = []
    /// FNV-1a of the tokens joined by a space: equal for texts that differ only in case, links and numbers' digits.
    private(set) var fingerprint: UInt64 = 0
    /// Tokens found.
    var tokenCount: Int { ends.count }

    private let bucketMask: UInt64
    private var text: [UInt8] = []
    private var tokens: [UInt8] = []
    private var ends: [Int] = []

    /// `bucketBits` from 1 to 24.
    init(bucketBits: Int) {
        precondition((1...24).contains(bucketBits), "a model has 2 to 16 million buckets")
        bucketMask = (1 << UInt64(bucketBits)) - 1
        text.reserveCapacity(Self.maxTextBytes)
    }

    mutating func read(_ string: String) {
        normalise(string)
        split()
        fingerprint = fnv1a64(tokens: tokens, ends: ends)
        hashFeatures()
    }

    /// UTF-8 in lower case (ASCII only), with the typographic apostrophe (U+2019) as the plain one.
    private mutating func normalise(_ string: String) {
        text.removeAll(keepingCapacity: true)
        for byte in string.utf8.prefix(Self.maxTextBytes) {
            text.append((0x41...0x5A).contains(byte) ? byte | 0x20 : byte)
            let count = text.count
            if byte == 0x99, count >= 3, text[count - 3] == 0xE2, text[count - 2] == 0x80 {
                text.removeLast(3)
                text.append(UInt8(ascii: "'"))
            }
        }
    }

    private mutating func split() {
        tokens.removeAll(keepingCapacity: true)
        ends.removeAll(keepingCapacity: true)
        var start = 0
        while start < text.count {
            guard !isSpace(text[start]) else {
                start += 1
                continue
            }
            var end = start
            while end < text.count, !isSpace(text[end]) { end += 1 }
            splitWord(start, end)
            start = end
        }
    }

    private mutating func splitWord(_ start: Int, _ end: Int) {
        let first = text[start]
        if hasPrefix("http:", start, end) || hasPrefix("https:", start, end) { return }
        if first == UInt8(ascii: "@") { return append("@") }
        if first == UInt8(ascii: "$"), start + 1 < end, isLetter(text[start + 1]) { return append("$t") }
        var position = start
        while position < end {
            if let next = wordEnd(position, end) {
                tokens.append(contentsOf: text[position..<next])
                ends.append(tokens.count)
                position = next
            } else if let next = numberEnd(position, end) {
                appendShape(position, next)
                position = next
            } else {
                if text[position] == UInt8(ascii: "?") { append("?") }
                if text[position] == UInt8(ascii: "!") { append("!") }
                position += 1
            }
        }
    }

    /// `[a-z]+('[a-z]+)?`
    private func wordEnd(_ start: Int, _ end: Int) -> Int? {
        var position = start
        while position < end, isLetter(text[position]) { position += 1 }
        guard position > start else { return nil }
        if position + 1 < end, text[position] == UInt8(ascii: "'"), isLetter(text[position + 1]) {
            position += 1
            while position < end, isLetter(text[position]) { position += 1 }
        }
        return position
    }

    /// `[+-]?[$]?[0-9][0-9.,]*%?`
    private func numberEnd(_ start: Int, _ end: Int) -> Int? {
        var position = start
        if text[position] == UInt8(ascii: "+") || text[position] == UInt8(ascii: "-") { position += 1 }
        if position < end, text[position] == UInt8(ascii: "$") { position += 1 }
        guard position < end, isDigit(text[position]) else { return nil }
        while position < end,
            isDigit(text[position]) || text[position] == UInt8(ascii: ".") || text[position] == UInt8(ascii: ",")
        {
            position += 1
        }
        if position < end, text[position] == UInt8(ascii: "%") { position += 1 }
        return position
    }

    /// Numbers become their kind: "+18%" is "+0%", "$1.2" is "$0".
    private mutating func appendShape(_ start: Int, _ end: Int) {
        let first = text[start]
        if first == UInt8(ascii: "+") || first == UInt8(ascii: "-") { tokens.append(first) }
        if text[end - 1] == UInt8(ascii: "%") {
            append("0%")
        } else {
            append(text[start..<min(start + 2, end)].contains(UInt8(ascii: "$")) ? "$0" : "0")
        }
    }

    private mutating func append(_ token: StaticString) {
        tokens.append(contentsOf: UnsafeBufferPointer(start: token.utf8Start, count: token.utf8CodeUnitCount))
        ends.append(tokens.count)
    }

    private mutating func hashFeatures() {
        buckets.removeAll(keepingCapacity: true)
        var previous: Range<Int>?
        for index in 0...ends.count {
            let token = index < ends.count ? (index == 0 ? 0 : ends[index - 1])..<ends[index] : nil
            var pair = FNV1a("2")
            pair.add(previous.map { tokens[$0] } ?? [UInt8(ascii: "<")])
            pair.add(UInt8(ascii: " "))
            pair.add(token.map { tokens[$0] } ?? [UInt8(ascii: ">")])
            buckets.append(UInt32(pair.value & bucketMask))
            previous = token
            if let token { hashWord(token) }
        }
        buckets.sort()
        removeRepetitions()
    }

    private mutating func hashWord(_ token: Range<Int>) {
        var word = FNV1a("1")
        word.add(tokens[token])
        buckets.append(UInt32(word.value & bucketMask))
        guard isLetter(tokens[token.lowerBound]) else { return }
        // Over "^word$", without building it.
        let count = token.count + 2
        for size in 4...5 where count >= size {
            for start in 0...(count - size) {
                var gram = FNV1a("4")
                for position in start..<(start + size) {
                    gram.add(
                        position == 0
                            ? UInt8(ascii: "^")
                            : position == count - 1 ? UInt8(ascii: "$") : tokens[token.lowerBound + position - 1])
                }
                buckets.append(UInt32(gram.value & bucketMask))
            }
        }
    }

    private mutating func removeRepetitions() {
        var kept = 0
        for bucket in buckets where kept == 0 || buckets[kept - 1] != bucket {
            buckets[kept] = bucket
            kept += 1
        }
        buckets.removeLast(buckets.count - kept)
    }

    private func hasPrefix(_ prefix: StaticString, _ start: Int, _ end: Int) -> Bool {
        let count = prefix.utf8CodeUnitCount
        guard end - start >= count else { return false }
        return (0..<count).allSatisfy { text[start + $0] == prefix.utf8Start[$0] }
    }
}

/// FNV-1a, 64 bit, byte by byte.
private struct FNV1a {
    private(set) var value: UInt64 = 0xCBF2_9CE4_8422_2325

    init(_ kind: Unicode.Scalar) {
        add(UInt8(ascii: kind))
    }

    init() {}

    mutating func add(_ byte: UInt8) {
        value = (value ^ UInt64(byte)) &* 0x0000_0100_0000_01B3
    }

    mutating func add(_ bytes: ArraySlice<UInt8>) {
        for byte in bytes { add(byte) }
    }
}

private func fnv1a64(tokens: [UInt8], ends: [Int]) -> UInt64 {
    var hash = FNV1a()
    var start = 0
    for end in ends {
        if start > 0 { hash.add(UInt8(ascii: " ")) }
        hash.add(tokens[start..<end])
        start = end
    }
    return hash.value
}

private func isLetter(_ byte: UInt8) -> Bool { (0x61...0x7A).contains(byte) }
private func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
private func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
