import FoundationEssentials
import Market
import Wire

/// What an approval may still do to a position: reserved from the decision on, until it is filled, or until nothing of
/// it can trade any more.
struct Reservation: Sendable {
    var symbol: String
    var side: Side
    /// No execution is worse than this.
    var bound: Price
    /// Approved less filled.
    var remaining: Quantity
    /// End of the approval plus the grace in which its venue may still report.
    var releaseAt: Instant
    /// Orders under this approval that a venue has and has not finished: what is left of each. By `RecentIDs.hash` of the
    /// order's id, so that a snapshot does not grow with the length of ids that somebody else chooses.
    var openOrders: [UInt128: Quantity] = [:]
    /// The end has passed: only what open orders can still do is reserved.
    var isPastEnd = false
}

/// The reservations of all approvals that may still trade, and their sums per symbol and side.
///
/// An execution agent may try again after a cancelled or rejected order, so that the end of an order frees nothing
/// before the approval's own end; a fill moves its quantity from here into the position.
struct Reservations: Sendable {
    /// Approvals that may be open at once; the gate blocks beyond it.
    static let maximumOpen = 4_096
    /// Orders at venues that one approval may have open. Beyond it nothing is released before the last known one ends.
    static let maximumOrders = 1_024
    /// Orders at venues that all approvals together may have open; beyond it as above.
    static let maximumOrdersInAll = 16_384

    private(set) var open: [String: Reservation] = [:]
    private var sums: [Key: Quantity] = [:]
    private var openOrders = 0
    /// False for good once more was released than was reserved.
    private(set) var isConsistent = true

    private struct Key: Hashable {
        var symbol: String
        var isBuy: Bool
    }

    /// Approved but not filled yet, above 0 or 0.
    func pending(_ symbol: String, _ side: Side) -> Quantity {
        sums[Key(symbol: symbol, isBuy: side == .buy)] ?? .zero
    }

    /// Symbols with anything pending.
    var symbols: Set<String> { Set(sums.keys.map(\.symbol)) }

    /// Before this instant nothing can be released by time alone; nil while nothing ever can. Found anew only when it has
    /// passed: every message asks for it, and thousands of approvals may be open.
    private(set) var nextRelease: Instant?

    /// Begins a reservation; throws, and changes nothing, when the sum does not fit.
    mutating func reserve(_ id: String, _ reservation: Reservation) throws(ArithmeticOverflow) {
        try add(reservation.remaining, reservation)
        open[id] = reservation
        nextRelease = min(nextRelease ?? reservation.releaseAt, reservation.releaseAt)
    }

    /// What a fill did to its approval's reservation.
    enum Consumption: Equatable, Sendable {
        case taken
        /// No reservation: it was released already, or this gate never approved it.
        case none
        /// More was executed than was approved.
        case tooMuch(by: Quantity)
    }

    mutating func consume(_ id: String, _ quantity: Quantity) -> Consumption {
        guard var reservation = open[id] else { return .none }
        let taken = min(quantity, reservation.remaining)
        // None of these can overflow: taken is at most either operand.
        reservation.remaining = Quantity(e8: reservation.remaining.e8 - taken.e8)
        release(taken, reservation)
        open[id] = reservation
        closeIfDone(id)
        return taken == quantity ? .taken : .tooMuch(by: Quantity(e8: quantity.e8 - taken.e8))
    }

    /// Notes what a venue says of an order: `leaves` above 0 while it is open there.
    mutating func note(order orderID: String, of id: String, leaves: Quantity) {
        guard var reservation = open[id] else { return }
        let order = RecentIDs.hash(orderID)
        if leaves.isPositive {
            let isKnown = reservation.openOrders[order] != nil
            let hasRoom = reservation.openOrders.count < Self.maximumOrders && openOrders < Self.maximumOrdersInAll
            guard isKnown || hasRoom else { return }
            reservation.openOrders[order] = leaves
            openOrders += isKnown ? 0 : 1
        } else if reservation.openOrders.removeValue(forKey: order) != nil {
            openOrders -= 1
        }
        open[id] = reservation
        if reservation.isPastEnd { shrink(id) }
        closeIfDone(id)
    }

    /// Releases what can't trade any more at `now`.
    mutating func expire(at now: Instant) {
        guard let nextRelease, nextRelease <= now else { return }
        for (id, reservation) in open where !reservation.isPastEnd && reservation.releaseAt <= now {
            open[id]?.isPastEnd = true
            shrink(id)
            closeIfDone(id)
        }
        self.nextRelease = open.values.lazy.filter { !$0.isPastEnd }.map(\.releaseAt).min()
    }

    /// After the end of an approval, only its open orders can still execute.
    private mutating func shrink(_ id: String) {
        guard var reservation = open[id] else { return }
        var working = Quantity.zero
        for leaves in reservation.openOrders.values { working = (try? working + leaves) ?? .max }
        let kept = min(working, reservation.remaining)
        release(Quantity(e8: reservation.remaining.e8 - kept.e8), reservation)
        reservation.remaining = kept
        open[id] = reservation
    }

    private mutating func closeIfDone(_ id: String) {
        guard let reservation = open[id], reservation.openOrders.isEmpty else { return }
        if reservation.remaining.isZero || reservation.isPastEnd {
            release(reservation.remaining, reservation)
            open[id] = nil
            if open.isEmpty { nextRelease = nil }
        }
    }

    private mutating func add(_ quantity: Quantity, _ reservation: Reservation) throws(ArithmeticOverflow) {
        let key = Key(symbol: reservation.symbol, isBuy: reservation.side == .buy)
        sums[key] = try (sums[key] ?? .zero) + quantity
    }

    private mutating func release(_ quantity: Quantity, _ reservation: Reservation) {
        let key = Key(symbol: reservation.symbol, isBuy: reservation.side == .buy)
        // Only what was added is ever released: anything else means that the sums can't be relied on.
        let rest = Quantity(e8: (sums[key] ?? .zero).e8 - quantity.e8)
        if rest.isNegative { isConsistent = false }
        sums[key] = rest.isPositive ? rest : nil
    }
}

extension Reservations: Packable {
    func pack(into packer: inout Packer) {
        packer.append(open) { id, reservation, packer in
            packer.append(id)
            packer.append(reservation)
        }
        let ordered = sums.sorted { ($0.key.symbol, $0.key.isBuy ? 0 : 1) < ($1.key.symbol, $1.key.isBuy ? 0 : 1) }
        packer.append(ordered) { sum, packer in
            packer.append(sum.key.symbol)
            packer.append(sum.key.isBuy)
            packer.append(sum.value.e8)
        }
        packer.append(openOrders)
        packer.append(isConsistent)
        packer.append(nextRelease ?? Instant(nanoseconds: .max))
    }

    init(unpacking unpacker: inout Unpacker) throws {
        open = try unpacker.dictionary { (try $0.text(), try Reservation(unpacking: &$0)) }
        let sums = try unpacker.list { unpacker in
            (Key(symbol: try unpacker.text(), isBuy: try unpacker.bool()), Quantity(e8: try unpacker.int64()))
        }
        self.sums = Dictionary(sums, uniquingKeysWith: { first, _ in first })
        openOrders = try unpacker.int()
        isConsistent = try unpacker.bool()
        let next = try unpacker.instant()
        nextRelease = next == Instant(nanoseconds: .max) ? nil : next
    }
}

extension Reservations {
    /// As version 1 of the state had them: a container each, open orders by their ids.
    private struct Unpacked: Decodable {
        struct Entry: Decodable {
            var symbol: String
            var side: Side
            var bound: Price
            var remaining: Quantity
            var releaseAt: Instant
            var openOrders: [String: Quantity]
            var isPastEnd: Bool
        }

        var open: [String: Entry]
        var isConsistent: Bool
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let data = try? container.decode(Data.self) {
            var unpacker = Unpacker([UInt8](data))
            try self.init(unpacking: &unpacker)
            guard unpacker.isAtEnd else { throw UnpackError("the reservations are followed by further bytes") }
            return
        }
        self.init()
        let old = try container.decode(Unpacked.self)
        for (id, entry) in old.open {
            var reservation = Reservation(
                symbol: entry.symbol, side: entry.side, bound: entry.bound, remaining: entry.remaining,
                releaseAt: entry.releaseAt, isPastEnd: entry.isPastEnd)
            for (order, leaves) in entry.openOrders { reservation.openOrders[RecentIDs.hash(order)] = leaves }
            try add(reservation.remaining, reservation)
            open[id] = reservation
            openOrders += reservation.openOrders.count
        }
        isConsistent = old.isConsistent
        nextRelease = open.values.lazy.filter { !$0.isPastEnd }.map(\.releaseAt).min()
    }
}

extension Reservation: Packable {
    func pack(into packer: inout Packer) {
        packer.append(symbol)
        packer.append(side.rawValue)
        packer.append(bound.e8)
        packer.append(remaining.e8)
        packer.append(releaseAt)
        packer.append(isPastEnd)
        packer.append(openOrders) { order, leaves, packer in
            packer.append(UInt64(truncatingIfNeeded: order))
            packer.append(UInt64(truncatingIfNeeded: order >> 64))
            packer.append(leaves.e8)
        }
    }

    init(unpacking unpacker: inout Unpacker) throws {
        symbol = try unpacker.text()
        side = Side(rawValue: try unpacker.int()) ?? .unspecified
        bound = Price(e8: try unpacker.int64())
        remaining = Quantity(e8: try unpacker.int64())
        releaseAt = try unpacker.instant()
        isPastEnd = try unpacker.bool()
        openOrders = try unpacker.dictionary { unpacker in
            let low = UInt128(try unpacker.uint64())
            return (UInt128(try unpacker.uint64()) << 64 | low, Quantity(e8: try unpacker.int64()))
        }
    }
}
