import Market

/// What it costs to act on an edge, in basis points of the mid: half of the spread, and the fee.
///
/// One way only: the edge is a move of the mid, and getting out again is a trade of its own, which is made when it has an
/// edge or when the inventory speaks for it (Gârleanu & Pedersen 2013 charge each trade its own cost likewise).
///
/// The fee decides whether there is anything to do: order flow on BTCUSDT promises less than one basis point over two
/// seconds, so that nothing is left at the 5 bp of a retail taker, and something at the rates of a market maker. Set it
/// to what the venue charges.
struct Costs {
    /// Per trade.
    let feeBps: Double

    /// Nil for a price of 0.
    func basisPoints(_ touch: Touch) -> Double? {
        touch.spreadBasisPoints.map { $0 / 2 + feeBps }
    }
}
