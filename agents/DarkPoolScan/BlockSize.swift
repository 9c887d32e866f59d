import Market
import Wire

/// What makes a print a block. FINRA counts trades of at least 10,000 shares, of at least $200,000, and of both (ATS
/// block-size statistics); settings scale the two numbers to markets where another size is large.
struct BlockSize {
    /// Shares, coins, contracts; above 0.
    let quantity: Double
    /// Quote currency; above 0.
    let notional: Double

    /// How many times a block this is by its larger measure; a block from 1 on.
    func multiple(price: Double, quantity: Double) -> Double {
        max(quantity / self.quantity, price * quantity / notional)
    }
}
