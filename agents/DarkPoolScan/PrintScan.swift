import Market
import Wire

/// The prints of one symbol at one venue: blocks, and hidden executions.
struct PrintScan {
    struct Parameters {
        var blockSize: BlockSize
        var hiddenTimeConstantNs: Double
        var hiddenSampleNs: Int64
        var hiddenEnter: Double
        var hiddenThrottleNs: Int64
    }

    struct Finding: Equatable {
        var value: Double
        var confidence: Double
        var observations: UInt32
    }

    struct Report: Equatable {
        var block: Finding?
        var hidden: Finding?
        var isBad = false
    }

    /// A block counts at most this many times its threshold.
    static let maxMultiple = 100.0
    /// An unusual share counts at most this many deviations.
    static let maxZ = 20.0

    private let parameters: Parameters
    private var signs = PrintSign()
    private var hidden: HiddenFlow
    private var hiddenSentNs: Int64?

    init(_ parameters: Parameters) {
        self.parameters = parameters
        hidden = HiddenFlow(
            timeConstantNs: parameters.hiddenTimeConstantNs, sampleNs: parameters.hiddenSampleNs)
    }

    mutating func note(_ trade: Trade) -> Report {
        guard trade.priceE8 > 0, trade.quantityE8 > 0 else { return Report(isBad: true) }
        let (side, probability) = signs.side(of: trade)
        let sign = Double(side.sign)
        var report = Report()
        let quantity = trade.quantity.double
        let multiple = parameters.blockSize.multiple(price: trade.price.double, quantity: quantity)
        if multiple >= 1, side.isKnown {
            report.block = Finding(
                value: sign * min(multiple, Self.maxMultiple), confidence: probability, observations: 1)
        }
        if let reading = hidden.note(
            quantity: quantity, sign: sign, isHidden: trade.hidden, at: trade.exchangeTimeNs)
        {
            report.hidden = finding(reading, probability: probability, at: trade.exchangeTimeNs)
        }
        return report
    }

    private mutating func finding(
        _ reading: HiddenFlow.Reading, probability: Double, at timeNs: Int64
    ) -> Finding? {
        guard reading.z >= parameters.hiddenEnter, reading.lean != 0 else { return nil }
        if let hiddenSentNs, timeNs - hiddenSentNs < parameters.hiddenThrottleNs { return nil }
        hiddenSentNs = timeNs
        return Finding(
            value: reading.lean * min(reading.z, Self.maxZ), confidence: abs(reading.lean) * probability,
            observations: UInt32(max(1, min(reading.trades.rounded(), 1e9))))
    }
}
