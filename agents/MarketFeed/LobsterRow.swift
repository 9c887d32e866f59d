import Market
import Wire

/// One event of a LOBSTER message file (LOBSTER sample files' ReadMe): time, type, order id, size, price, direction.
struct LobsterMessage: Equatable, Sendable {
    enum Kind: Int64, Sendable {
        case submission = 1
        case partialCancellation = 2
        case deletion = 3
        case visibleExecution = 4
        case hiddenExecution = 5
        /// Auction: both sides meet at once.
        case cross = 6
        case halt = 7
    }

    /// Since the exchange's local midnight.
    var timeNs: Int64
    var kind: Kind
    var orderID: Int64
    var quantity: Quantity
    var price: Price
    /// +1 the event's order buys, −1 it sells. It is the *resting* order: in an execution the aggressor is opposite.
    var direction: Int64

    /// Prices are in 1/10,000 of a dollar.
    static let priceUnitE8: Int64 = 10_000
    /// −1, 0, 1 in the price column of a halt message.
    enum HaltState: Int64 { case halted = -1, quoting = 0, trading = 1 }
    var haltState: HaltState?

    static func parse(_ line: Span<UInt8>) throws(LineFault) -> LobsterMessage {
        var scanner = NumberScanner()
        let timeNs = try scanner.seconds(line)
        guard let kind = Kind(rawValue: try scanner.field(line)) else {
            throw scanner.fail("the type is none of 1 to 7")
        }
        let (orderID, size, price) = (try scanner.field(line), try scanner.field(line), try scanner.field(line))
        let direction = try scanner.field(line)
        try scanner.end(line)
        guard kind != .halt else {
            guard let state = HaltState(rawValue: price) else {
                throw scanner.fail("a halt's price is none of -1, 0, 1")
            }
            return LobsterMessage(
                timeNs: timeNs, kind: kind, orderID: orderID, quantity: .zero, price: .zero, direction: direction,
                haltState: state)
        }
        guard size > 0, price > 0, let quantity = Self.scaled(size, e8Scale), let e8 = Self.scaled(price, priceUnitE8)
        else {
            throw scanner.fail("size or price is not positive or too large")
        }
        guard direction == 1 || direction == -1 else { throw scanner.fail("the direction is neither 1 nor -1") }
        return LobsterMessage(
            timeNs: timeNs, kind: kind, orderID: orderID, quantity: Quantity(e8: quantity), price: Price(e8: e8),
            direction: direction)
    }

    static func scaled(_ value: Int64, _ unit: Int64) -> Int64? {
        let (product, overflow) = value.multipliedReportingOverflow(by: unit)
        return overflow ? nil : product
    }
}

/// One row of a LOBSTER orderbook file: ask price, ask size, bid price, bid size, for each level from the best.
struct LobsterBookRow: Equatable, Sendable {
    /// Levels of the widest file that LOBSTER makes.
    static let maximumLevels = 200
    /// Price that stands for "no such level" (ask; the bid's is its negative).
    private static let emptyPrice: Int64 = 9_999_999_999

    var bids: [Level] = []
    var asks: [Level] = []

    static func parse(_ line: Span<UInt8>) throws(LineFault) -> LobsterBookRow {
        var scanner = NumberScanner()
        var row = LobsterBookRow()
        repeat {
            guard row.asks.count < maximumLevels else { throw scanner.fail("more than \(maximumLevels) levels") }
            let ask = (try scanner.field(line), try scanner.field(line))
            let bid = (try scanner.field(line), try scanner.field(line))
            if let level = try level(ask, scanner) { row.asks.append(level) }
            if let level = try level(bid, scanner) { row.bids.append(level) }
        } while scanner.hasMore(line)
        try scanner.end(line)
        return row
    }

    private static func level(_ pair: (price: Int64, size: Int64), _ scanner: NumberScanner) throws(LineFault)
        -> Level?
    {
        if pair.size == 0 || pair.price == emptyPrice || pair.price == -emptyPrice { return nil }
        guard pair.price > 0, pair.size > 0, let price = LobsterMessage.scaled(pair.price, LobsterMessage.priceUnitE8),
            let quantity = LobsterMessage.scaled(pair.size, e8Scale)
        else { throw scanner.fail("a level's price or size is not positive or too large") }
        return Level(price: Price(e8: price), quantity: Quantity(e8: quantity))
    }
}

/// Numbers between commas.
private struct NumberScanner {
    private var position = 0

    func fail(_ reason: String) -> LineFault { LineFault(reason: reason, offset: position) }

    func hasMore(_ line: Span<UInt8>) -> Bool { position <= line.count }

    /// A whole number with its comma (or the line's end).
    mutating func field(_ line: Span<UInt8>) throws(LineFault) -> Int64 {
        guard position <= line.count else { throw fail("the line has too few fields") }
        let isNegative = position < line.count && line[position] == UInt8(ascii: "-")
        if isNegative { position += 1 }
        let magnitude = try digits(line, atMost: 18)
        try comma(line)
        return isNegative ? -magnitude : magnitude
    }

    /// Seconds with up to nine decimals, as nanoseconds.
    mutating func seconds(_ line: Span<UInt8>) throws(LineFault) -> Int64 {
        let whole = try digits(line, atMost: 9)
        var nanoseconds = whole * 1_000_000_000
        if position < line.count, line[position] == UInt8(ascii: ".") {
            position += 1
            let start = position
            var fraction = try digits(line, atMost: 9)
            for _ in position - start..<9 { fraction *= 10 }
            nanoseconds += fraction
        }
        try comma(line)
        return nanoseconds
    }

    mutating func end(_ line: Span<UInt8>) throws(LineFault) {
        guard position > line.count else { throw fail("the line has too many fields") }
    }

    private mutating func digits(_ line: Span<UInt8>, atMost most: Int) throws(LineFault) -> Int64 {
        let start = position
        var value: Int64 = 0
        while position < line.count {
            let digit = line[position] &- UInt8(ascii: "0")
            guard digit <= 9 else { break }
            guard position - start < most else { throw fail("the number is too long") }
            value = value * 10 + Int64(digit)
            position += 1
        }
        guard position > start else { throw fail("expected a number") }
        return value
    }

    /// Behind the last field the position is one past the end.
    private mutating func comma(_ line: Span<UInt8>) throws(LineFault) {
        guard position == line.count || line[position] == UInt8(ascii: ",") else { throw fail("expected ','") }
        position += 1
    }
}
