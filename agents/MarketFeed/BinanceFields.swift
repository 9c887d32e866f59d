import Wire

/// What was read of one frame, whatever its kind.
struct BinanceFields {
    /// Milliseconds that fit in 63 bits of nanoseconds.
    static let maximumTimeMs = UInt64(Int64.max) / 1_000_000

    enum Kind { case depth, trade, bookTicker }

    struct Seen: OptionSet {
        let rawValue: UInt32
        static let symbol = Seen(rawValue: 1 << 0)
        static let transactionTime = Seen(rawValue: 1 << 1)
        static let firstID = Seen(rawValue: 1 << 2)
        static let finalID = Seen(rawValue: 1 << 3)
        static let previousID = Seen(rawValue: 1 << 4)
        static let bidLevels = Seen(rawValue: 1 << 5)
        static let askLevels = Seen(rawValue: 1 << 6)
        static let bid = Seen(rawValue: 1 << 7)
        static let bidSize = Seen(rawValue: 1 << 8)
        static let ask = Seen(rawValue: 1 << 9)
        static let askSize = Seen(rawValue: 1 << 10)
        static let tradeID = Seen(rawValue: 1 << 11)
        static let price = Seen(rawValue: 1 << 12)
        static let quantity = Seen(rawValue: 1 << 13)
        static let buyerIsMaker = Seen(rawValue: 1 << 14)
        static let lastUpdateID = Seen(rawValue: 1 << 15)
        static let kind = Seen(rawValue: 1 << 16)
        static let data = Seen(rawValue: 1 << 17)
        static let execution = Seen(rawValue: 1 << 18)
    }

    struct Levels {
        var prices: [Int64] = []
        var quantities: [Int64] = []
        /// Room for the next frame's levels: the shape of the last one's.
        var expected = 16

        /// [["61800.20","2.909"],…]
        mutating func read(_ line: Span<UInt8>, _ scanner: inout JSONScanner) throws(LineFault) {
            if prices.capacity == 0 {
                prices.reserveCapacity(expected)
                quantities.reserveCapacity(expected)
            }
            try scanner.expect(UInt8(ascii: "["), line)
            guard !scanner.take(UInt8(ascii: "]"), line) else { return }
            repeat {
                try scanner.expect(UInt8(ascii: "["), line)
                let price = try scanner.quotedDecimal(line)
                try scanner.expect(UInt8(ascii: ","), line)
                let quantity = try scanner.quotedDecimal(line)
                try scanner.expect(UInt8(ascii: "]"), line)
                guard price > 0, quantity >= 0 else { throw scanner.fail("a level has no positive price and size") }
                prices.append(price)
                quantities.append(quantity)
            } while scanner.take(UInt8(ascii: ","), line)
            try scanner.expect(UInt8(ascii: "]"), line)
            expected = max(16, prices.count)
        }
    }

    var seen: Seen = []
    var kind: Kind?
    var symbol = ""
    var symbolBytes: [UInt8] = []
    var transactionTimeMs: UInt64 = 0
    var (firstID, finalID, previousID, lastUpdateID, tradeID): (UInt64, UInt64, UInt64, UInt64, UInt64)
    var (bid, bidSize, ask, askSize, price, quantity): (Int64, Int64, Int64, Int64, Int64, Int64)
    var buyerIsMaker = false
    var isMarketTrade = true
    var bids = Levels()
    var asks = Levels()

    init() {
        (firstID, finalID, previousID, lastUpdateID, tradeID) = (0, 0, 0, 0, 0)
        (bid, bidSize, ask, askSize, price, quantity) = (0, 0, 0, 0, 0, 0)
    }

    /// The symbol is kept: it is nearly always the same, and `seen` tells whether this frame had one.
    mutating func reset() {
        seen = []
        kind = nil
        transactionTimeMs = 0
        isMarketTrade = true
        bids.prices.removeAll(keepingCapacity: true)
        bids.quantities.removeAll(keepingCapacity: true)
        asks.prices.removeAll(keepingCapacity: true)
        asks.quantities.removeAll(keepingCapacity: true)
    }

    /// An object; the one under "data" is read as if its members stood here.
    mutating func read(_ line: Span<UInt8>, _ scanner: inout JSONScanner, isData: Bool) throws(LineFault) {
        try scanner.object(line) { (scanner: inout JSONScanner, key) throws(LineFault) in
            if key.count == 1 {
                try letter(line[key.lowerBound], line, &scanner)
            } else if key.matches("pu", line) {
                previousID = try number(.previousID, line, &scanner)
            } else if !isData, key.matches("data", line) {
                try mark(.data, scanner)
                try read(line, &scanner, isData: true)
            } else if key.matches("lastUpdateId", line) {
                lastUpdateID = try number(.lastUpdateID, line, &scanner)
            } else if key.matches("bids", line) {
                try mark(.bidLevels, scanner)
                try bids.read(line, &scanner)
            } else if key.matches("asks", line) {
                try mark(.askLevels, scanner)
                try asks.read(line, &scanner)
            } else {
                try scanner.skipValue(line)
            }
        }
    }

    private mutating func letter(
        _ key: UInt8, _ line: Span<UInt8>, _ scanner: inout JSONScanner
    ) throws(LineFault) {
        switch key {
        case UInt8(ascii: "e"): try readKind(line, &scanner)
        case UInt8(ascii: "s"): try readSymbol(line, &scanner)
        case UInt8(ascii: "T"):
            transactionTimeMs = try number(.transactionTime, line, &scanner)
            guard transactionTimeMs <= Self.maximumTimeMs else { throw scanner.fail("the time is out of range") }
        case UInt8(ascii: "U"): firstID = try number(.firstID, line, &scanner)
        case UInt8(ascii: "u"): finalID = try number(.finalID, line, &scanner)
        case UInt8(ascii: "t"): tradeID = try number(.tradeID, line, &scanner)
        case UInt8(ascii: "p"): price = try decimal(.price, line, &scanner)
        case UInt8(ascii: "q"): quantity = try decimal(.quantity, line, &scanner)
        case UInt8(ascii: "B"): bidSize = try decimal(.bidSize, line, &scanner)
        case UInt8(ascii: "A"): askSize = try decimal(.askSize, line, &scanner)
        case UInt8(ascii: "b"):
            if scanner.peek(line) == UInt8(ascii: "[") {
                try mark(.bidLevels, scanner)
                try bids.read(line, &scanner)
            } else {
                bid = try decimal(.bid, line, &scanner)
            }
        case UInt8(ascii: "a"):
            if scanner.peek(line) == UInt8(ascii: "[") {
                try mark(.askLevels, scanner)
                try asks.read(line, &scanner)
            } else {
                ask = try decimal(.ask, line, &scanner)
            }
        case UInt8(ascii: "m"):
            try mark(.buyerIsMaker, scanner)
            buyerIsMaker = try scanner.boolean(line)
        case UInt8(ascii: "X"):
            try mark(.execution, scanner)
            isMarketTrade = try scanner.string(line).matches("MARKET", line)
        default: try scanner.skipValue(line)
        }
    }

    private mutating func mark(_ field: Seen, _ scanner: JSONScanner) throws(LineFault) {
        guard seen.insert(field).inserted else { throw scanner.fail("a field comes twice") }
    }

    private mutating func number(
        _ field: Seen, _ line: Span<UInt8>, _ scanner: inout JSONScanner
    ) throws(LineFault) -> UInt64 {
        try mark(field, scanner)
        return try scanner.unsigned(line)
    }

    private mutating func decimal(
        _ field: Seen, _ line: Span<UInt8>, _ scanner: inout JSONScanner
    ) throws(LineFault) -> Int64 {
        try mark(field, scanner)
        return try scanner.quotedDecimal(line)
    }

    private mutating func readKind(_ line: Span<UInt8>, _ scanner: inout JSONScanner) throws(LineFault) {
        try mark(.kind, scanner)
        let name = try scanner.string(line)
        if name.matches("bookTicker", line) {
            kind = .bookTicker
        } else if name.matches("trade", line) {
            kind = .trade
        } else if name.matches("depthUpdate", line) {
            kind = .depth
        } else {
            throw scanner.fail("the event type is none of depthUpdate, trade, bookTicker")
        }
    }

    private mutating func readSymbol(_ line: Span<UInt8>, _ scanner: inout JSONScanner) throws(LineFault) {
        try mark(.symbol, scanner)
        let range = try scanner.string(line)
        if !range.isEmpty, range.count == symbolBytes.count, range.matches(symbolBytes.span, line) { return }
        let isName = range.allSatisfy { index in
            switch line[index] {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
                true
            default: false
            }
        }
        guard !range.isEmpty, range.count <= Limits.maxNameBytes, isName else {
            throw scanner.fail("the symbol is not of capital letters, digits and '_'")
        }
        symbolBytes = range.map { line[$0] }
        symbol = String(decoding: symbolBytes, as: UTF8.self)
    }
}

extension Range<Int> {
    /// Whether these bytes of the line are `text`.
    @inline(__always)
    fileprivate func matches(_ text: StaticString, _ line: Span<UInt8>) -> Bool {
        guard count == text.utf8CodeUnitCount else { return false }
        for index in 0..<count where line[lowerBound + index] != text.utf8Start[index] { return false }
        return true
    }

    @inline(__always)
    fileprivate func matches(_ text: Span<UInt8>, _ line: Span<UInt8>) -> Bool {
        for index in 0..<count where line[lowerBound + index] != text[index] { return false }
        return true
    }
}
