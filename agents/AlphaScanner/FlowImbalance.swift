import Market
import Wire

/// Order flow imbalance over the best levels of a book, fading with market time.
///
/// For each level, between two states n−1 and n of the book (Cont, Kukanov & Stoikov 2014, "The price impact of order
/// book events", eq. 4):
///
///     e = 1{Pb(n) ≥ Pb(n−1)} qb(n) − 1{Pb(n) ≤ Pb(n−1)} qb(n−1) − 1{Pa(n) ≤ Pa(n−1)} qa(n) + 1{Pa(n) ≥ Pa(n−1)} qa(n−1)
///
/// The m-th best prices take the place of the best for deeper levels (Xu, Gould & Howison 2018). The levels are
/// averaged and divided by the mean quantity per level (Cont, Cucuringu & Zhang 2023), so that the value reads "so many
/// times what usually rests on a level was added to the bid or taken from the ask". A level that one of the states
/// lacks counts 0 on that side.
struct FlowImbalance {
    /// Deepest level that can be asked for.
    static let maxLevels = 10
    /// Over how long the usual quantity per level is averaged.
    static let depthTimeConstantNs = 60e9

    let levels: Int
    private var bids: [Level] = []
    private var asks: [Level] = []
    private var hasState = false
    private var flow: DecayedSum
    private var quantitySum = DecayedSum(timeConstantNs: depthTimeConstantNs)
    private var quantityCount = DecayedSum(timeConstantNs: depthTimeConstantNs)

    init(levels: Int, timeConstantNs: Double) {
        precondition((1...Self.maxLevels).contains(levels), "order flow is measured on 1 to \(Self.maxLevels) levels")
        self.levels = levels
        flow = DecayedSum(timeConstantNs: timeConstantNs)
        bids.reserveCapacity(levels)
        asks.reserveCapacity(levels)
    }

    /// Takes the next state of the book, which must be current and not crossed.
    mutating func note(_ book: OrderBook, at timeNs: Int64) {
        let depth = min(levels, max(book.bids.count, book.asks.count))
        if hasState, depth > 0 {
            var sum = 0.0
            for index in 0..<depth {
                if index < bids.count, index < book.bids.count {
                    sum += Self.bidContribution(from: bids[index], to: book.bids[index])
                }
                if index < asks.count, index < book.asks.count {
                    sum += Self.askContribution(from: asks[index], to: book.asks[index])
                }
            }
            flow.add(sum / Double(depth), at: timeNs)
        }
        remember(book, at: timeNs)
    }

    /// Forgets the last state: the next one has no predecessor (after a gap, a crossed book). Nothing flows in from
    /// what was not seen.
    mutating func lose() {
        hasState = false
        flow.reset()
    }

    /// In multiples of the mean quantity per level; nil while that is unknown or 0.
    func value(at timeNs: Int64) -> Double? {
        let count = quantityCount.value(at: timeNs)
        let sum = quantitySum.value(at: timeNs)
        guard hasState, count > 0, sum > 0 else { return nil }
        return flow.value(at: timeNs) / (sum / count)
    }

    static func bidContribution(from old: Level, to new: Level) -> Double {
        (new.price >= old.price ? new.quantity.double : 0) - (new.price <= old.price ? old.quantity.double : 0)
    }

    static func askContribution(from old: Level, to new: Level) -> Double {
        (new.price >= old.price ? old.quantity.double : 0) - (new.price <= old.price ? new.quantity.double : 0)
    }

    private mutating func remember(_ book: OrderBook, at timeNs: Int64) {
        bids.removeAll(keepingCapacity: true)
        asks.removeAll(keepingCapacity: true)
        var quantity = 0.0
        for index in 0..<min(levels, book.bids.count) {
            bids.append(book.bids[index])
            quantity += book.bids[index].quantity.double
        }
        for index in 0..<min(levels, book.asks.count) {
            asks.append(book.asks[index])
            quantity += book.asks[index].quantity.double
        }
        quantitySum.add(quantity, at: timeNs)
        quantityCount.add(Double(bids.count + asks.count), at: timeNs)
        hasState = true
    }
}
