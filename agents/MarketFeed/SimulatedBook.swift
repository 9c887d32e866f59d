/// Numbers of orders on a grid of ticks: the simulator's own book. The grid is a window that moves with the price.
struct SimulatedBook: Sendable {
    /// Ticks in the window unless told otherwise. The flow reaches a few dozen from the touch.
    static let defaultWidth = 1_024

    enum Side: Int, Sendable { case bid = 0, ask = 1 }

    /// Orders at tick `base + index`, for bids and asks.
    private var orders: [[Int32]]
    let width: Int
    private(set) var base: Int
    private(set) var bestBid: Int?
    private(set) var bestAsk: Int?

    /// An empty book around a tick.
    init(around tick: Int, width: Int = SimulatedBook.defaultWidth) {
        self.width = width
        orders = [[Int32](repeating: 0, count: width), [Int32](repeating: 0, count: width)]
        base = tick - width / 2
    }

    func count(_ side: Side, at tick: Int) -> Int {
        let index = tick - base
        return index >= 0 && index < width ? Int(orders[side.rawValue][index]) : 0
    }

    /// Whether an order can rest here: inside the window and above price 0.
    func contains(_ tick: Int) -> Bool { tick >= max(base, 1) && tick < base + width }

    /// Adds `change` orders (below 0: removes, never more than there are).
    mutating func add(_ change: Int, _ side: Side, at tick: Int) {
        let index = tick - base
        orders[side.rawValue][index] += Int32(change)
        switch side {
        case .bid:
            if change > 0 { bestBid = max(bestBid ?? tick, tick) }
            if let best = bestBid, best == tick, orders[0][index] == 0 { bestBid = nextBid(below: tick) }
        case .ask:
            if change > 0 { bestAsk = min(bestAsk ?? tick, tick) }
            if let best = bestAsk, best == tick, orders[1][index] == 0 { bestAsk = nextAsk(above: tick) }
        }
    }

    private func nextBid(below tick: Int) -> Int? {
        (base..<tick).last { orders[0][$0 - base] > 0 }
    }

    private func nextAsk(above tick: Int) -> Int? {
        (tick + 1..<base + width).first { orders[1][$0 - base] > 0 }
    }

    /// Calls `body` with each occupied tick of a side, from the best outwards, until it returns false.
    @inline(__always)
    func forEach(_ side: Side, _ body: (_ tick: Int, _ count: Int) -> Bool) {
        switch side {
        case .bid:
            guard let best = bestBid else { return }
            let bids = orders[0]
            var index = best - base
            while index >= 0 {
                if bids[index] > 0, !body(base + index, Int(bids[index])) { return }
                index -= 1
            }
        case .ask:
            guard let best = bestAsk else { return }
            let asks = orders[1]
            var index = best - base
            while index < width {
                if asks[index] > 0, !body(base + index, Int(asks[index])) { return }
                index += 1
            }
        }
    }

    /// Moves the window so that `tick` is in its middle; returns the occupied ticks that fell out of it.
    mutating func recentre(on tick: Int) -> [(side: Side, tick: Int)] {
        let newBase = tick - width / 2
        var dropped: [(side: Side, tick: Int)] = []
        for side in [Side.bid, .ask] {
            var moved = [Int32](repeating: 0, count: width)
            for index in 0..<width where orders[side.rawValue][index] > 0 {
                let target = base + index - newBase
                if target >= 0, target < width {
                    moved[target] = orders[side.rawValue][index]
                } else {
                    dropped.append((side, base + index))
                }
            }
            orders[side.rawValue] = moved
        }
        base = newBase
        bestBid = nextBid(below: base + width)
        bestAsk = nextAsk(above: base - 1)
        return dropped
    }
}
