import Foundation
import Market
import TestSupport
import Testing

/// The ledger of a storm, kept as a user would who wants it whole: `agentctl ledger update` again and again, so that
/// journals keep what it has not seen. Some updates are killed in the middle.
final class StormLedger {
    static let everySeconds = 1.0
    /// One in so many updates is killed.
    static let killOneIn = 4

    private let place: Place
    private var random: SplitMix64
    private var updater: Program?
    private var killsAt: Date?
    private var nextAt = Date()
    private(set) var updates = 0
    private(set) var kills = 0
    /// Updates that have told of something wrong.
    private(set) var complaints: [String] = []

    init(_ place: Place, seed: UInt64) {
        self.place = place
        random = SplitMix64(seed: seed)
    }

    /// To be called often.
    func tick() throws {
        let now = Date()
        if let updater {
            if updater.hasEnded {
                if updater.exit != .code(0) || !updater.error.isEmpty {
                    complaints.append("ledger update: \(updater.output)\(updater.error)")
                }
                self.updater = nil
            } else if let killsAt, killsAt <= now {
                updater.kill()
                kills += 1
                self.updater = nil
            }
            return
        }
        guard nextAt <= now, FileManager.default.fileExists(atPath: "\(place.run)/agents") else { return }
        nextAt = now + Self.everySeconds
        updates += 1
        updater = try Program(Programs.agentctl, ["ledger", "update", "--socket", place.socket])
        let isDoomed = Int.random(in: 0..<Self.killOneIn, using: &random) == 0
        killsAt = isDoomed ? now + Double.random(in: 0.005...0.25, using: &random) : nil
    }

    /// Ends the update that runs.
    func rest() throws {
        _ = try updater?.outcome(within: 120)
        updater = nil
    }

    // MARK: What it says

    struct Holding: Decodable, Equatable {
        var symbol: String
        var position: String
        var bought: String
        var sold: String
        var fills: Int
    }

    private struct OrderRow: Decodable {
        var order: String
        var filled: String
    }

    /// What differs from the venue's own reports.
    func differences(from books: StormBooks) throws -> [String] {
        var wrong = complaints
        let update = try place.agentctl(["ledger", "update"], within: 300)
        if update.exit != .code(0) || !update.error.isEmpty { wrong.append("ledger: \(update.output)\(update.error)") }
        let holdings: [Holding] = try ask("positions")
        for symbol in Set(books.holdings.keys).union(holdings.map(\.symbol)) {
            let told = holdings.first { $0.symbol == symbol }
            if told != books.holdings[symbol] {
                wrong.append(
                    "the ledger has \(told.map { "\($0)" } ?? "nothing"), the venue \(books.holdings[symbol]!)")
            }
        }
        let orders: [OrderRow] = try ask("orders", "--limit", "1000000")
        if orders.count != books.orders.count {
            wrong.append("the ledger has \(orders.count) orders, \(books.orders.count) were sent")
        }
        let unequal = orders.filter { Quantity($0.filled)?.e8 != books.filledOfOrderE8[$0.order] ?? 0 }
        for order in unequal.prefix(5) {
            wrong.append(
                "\(order.order): \(order.filled) filled in the ledger, \(books.filledOfOrderE8[order.order] ?? 0) e-8 at the venue"
            )
        }
        return wrong
    }

    private func ask<Row: Decodable>(_ what: String...) throws -> [Row] {
        let outcome = try place.agentctl(["ledger"] + what + ["--json", "--no-update"], within: 120)
        try #require(outcome.exit == .code(0), "\(outcome.error)")
        return try JSONDecoder().decode([Row].self, from: Data(outcome.output.utf8))
    }

    var bytes: Int { StormSizes.bytes(of: "\(place.run)/ledger") }
}
