import AgentKit
import Wire

/// What one step of a market source yields: messages that belong together, and what the operator should know.
struct MarketItem: Sendable {
    /// When it happened (was received, in a recording of frames): Unix ns, never decreasing.
    var worldTimeNs: Int64
    var messages: [Payload] = []
    var notes: [Note] = []

    struct Note: Hashable, Sendable {
        var level: LogLevel
        var text: String
    }
}

/// A recording or a simulator: yields items until there are no more.
protocol MarketItems {
    /// Nil at the end, and ever after.
    mutating func next() -> MarketItem?

    /// What was read, skipped and lost, in a line.
    var summary: String { get }
}

/// Keeps notes on bad lines bounded: the first ones are said in full, the rest is counted.
struct BadLines: Sendable {
    /// Bad lines reported one by one.
    static let maximumReports = 100

    private(set) var count = 0

    mutating func report(_ text: String) -> [MarketItem.Note] {
        count += 1
        switch count {
        case ...Self.maximumReports: return [.init(level: .warning, text: text)]
        case Self.maximumReports + 1:
            return [.init(level: .warning, text: "more bad lines follow; from here on they are only counted")]
        default: return []
        }
    }
}
