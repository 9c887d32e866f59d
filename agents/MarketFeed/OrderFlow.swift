import Glibc

/// The zero-intelligence order flow of Cont, Stoikov & Talreja, "A stochastic model for order book dynamics", Operations
/// Research 58(3), 2010. Orders of one size on a grid of ticks; independent Poisson processes:
/// - limit orders arrive at i ticks from the opposite best with rate λ(i) = k / i^α, for i = 1 … `reach`, each side;
/// - market orders arrive with rate μ, each side;
/// - each resting order at i ticks from the opposite best is cancelled with rate θ(i).
///
/// Rates are per unit of time; `activity` units pass in a second. k, α, μ and θ(1…5) are of the size that the paper
/// estimates for a Tokyo stock; θ(i) beyond 5 ticks stays at θ(5), and λ ends at `reach`.
///
/// One thing is added, so that order flow says something about the next price, as it does in markets: a hidden regime
/// −1, 0 or +1 (a Markov chain that changes after `regimeUnits` on average) scales the arrivals of market buys by 1 +
/// strength × regime and of market sells by 1 − strength × regime, and those of limit bids and asks likewise with half
/// the strength. `regimeStrength` 0 is the paper's model.
struct OrderFlow: Equatable, Sendable {
    var k = 1.92
    var alpha = 0.52
    var marketRate = 0.94
    var cancelRates = [0.71, 0.81, 0.68, 0.56, 0.47]
    var reach = 30
    /// Units of model time in a second.
    var activity = 4.0
    var regimeStrength = 0.25
    var regimeUnits = 60.0

    /// λ(i), i from 1.
    func limitRate(_ distance: Int) -> Double {
        distance >= 1 && distance <= reach ? k / pow(Double(distance), alpha) : 0
    }

    /// θ(i), i from 1.
    func cancelRate(_ distance: Int) -> Double {
        cancelRates[min(max(distance, 1), cancelRates.count) - 1]
    }
}
