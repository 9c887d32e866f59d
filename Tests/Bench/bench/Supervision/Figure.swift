import Foundation

/// One cell of the comparison.
struct Figure {
    /// What was measured; the same words for every peer.
    var title: String
    /// What this supervisor is to reach; nil: shown for comparison.
    var bar: Bar?
    var value: String
    /// What is held against the bar.
    var number: Double = 0

    /// An upper limit, in the title's unit.
    struct Bar {
        var limit: Double
        /// The limit itself still is good.
        var isIncluded = false
        var text: String {
            let number = limit == limit.rounded() ? String(Int(limit)) : String(limit)
            return limit == 0 ? "0" : "\(isIncluded ? "≤" : "<") \(number)"
        }

        func admits(_ value: Double) -> Bool { isIncluded || limit == 0 ? value <= limit : value < limit }
    }

    init(_ title: String, _ bar: Bar?, _ value: String, _ number: Double) {
        (self.title, self.bar, self.value, self.number) = (title, bar, value, number)
    }

    /// In the unit that the title names.
    init(_ title: String, _ bar: Bar?, _ number: Double) {
        self.init(title, bar, Self.text(number), number)
    }

    static func count(_ title: String, _ bar: Bar?, _ number: Int) -> Figure {
        Figure(title, bar, "\(number)", Double(number))
    }

    /// Median and range; the median is held against the bar.
    static func spread(_ title: String, _ bar: Bar?, _ values: [Double]) -> Figure {
        let middle = median(values)
        let range = "(\(text(values.min() ?? .nan))–\(text(values.max() ?? .nan)))"
        return Figure(title, bar, "\(text(middle)) \(range)", middle)
    }

    static func text(_ value: Double) -> String {
        String(format: value >= 100 ? "%.0f" : value >= 10 ? "%.1f" : "%.2f", value)
    }
}

/// The value below which `share` (0 to 1) of the samples lie: nearest rank.
func percentile(_ values: [Double], _ share: Double) -> Double {
    guard !values.isEmpty else { return .nan }
    return values.sorted()[min(values.count - 1, max(0, Int((Double(values.count) * share).rounded(.up)) - 1))]
}
