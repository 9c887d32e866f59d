import Audit
import Foundation
import GRDB
import Journal
import Market
import Testing
import Wire

@testable import Ledger

@Suite struct LedgerTests {
    let run = TradedRun()

    /// Everything in the ledger, as text; what journals were read in which order must not show.
    func content(_ ledger: Ledger) throws -> [String] {
        try ledger.read { db in
            try ["proposal", "decision", "orders", "answer", "fill", "position", "gap", "problem", "journal"].flatMap {
                table in
                try Row.fetchAll(db, sql: "SELECT * FROM \(table)").map { "\(table) \($0)" }.sorted()
            }
        }
    }

    func ledger() throws -> Ledger { try Ledger(runDirectory: run.path) }

    @Test func itsNumbersAreTheJournals() throws {
        for _ in 1...300 { try run.trade() }
        let ledger = try ledger()
        let update = try ledger.update(runDirectory: run.path)
        #expect(update.failures.isEmpty && update.gaps.isEmpty && update.entries == update.records)
        #expect(try ledger.problems().isEmpty)
        let summary = try RunSummary.load(runDirectory: run.path)
        let counts = try ledger.counts()
        #expect(counts.proposals == summary.trading.proposals)
        #expect(counts.decisions[.approve] == summary.trading.decisions["approve"])
        #expect(counts.decisions[.block] == summary.trading.decisions["block"])
        #expect(counts.orders == summary.trading.orders && counts.fills == summary.trading.fillCount)
        let positions = try ledger.positions()
        #expect(positions.map(\.symbol) == ["BTCUSDT", "SIMUSD"])
        #expect(positions.map(\.position) == summary.portfolio.holdings.map(\.position))
        #expect(positions.map(\.bought) == summary.portfolio.holdings.map(\.bought))
        #expect(positions.map(\.sold) == summary.portfolio.holdings.map(\.sold))
        let marks = Dictionary(uniqueKeysWithValues: summary.portfolio.holdings.map { ($0.symbol, $0.mark!) })
        let result = try ProfitAndLoss(positions, marks: marks)
        #expect(result.profit == summary.portfolio.profit)
        #expect(result.realised == summary.portfolio.totals.realised && result.fees == summary.portfolio.totals.fees)
        #expect(result.unrealised == summary.portfolio.totals.unrealised)
        // By strategy: quantities and fees add up to the account's; so does profit, but for rounding.
        let parts = try ledger.positions(byStrategy: true)
        #expect(parts.count == 4)
        for whole in positions {
            let own = parts.filter { $0.symbol == whole.symbol }
            #expect(own.reduce(0) { $0 + $1.position.quantity.e8 } == whole.position.quantity.e8)
            #expect(own.reduce(0) { $0 + $1.position.fees.e8 } == whole.position.fees.e8)
            #expect(own.reduce(0) { $0 + $1.position.fills } == whole.position.fills)
        }
        let byStrategy = try ProfitAndLoss(parts, marks: marks)
        #expect(abs(byStrategy.profit.e8 - result.profit.e8) < Int64(counts.fills))
        let states = Dictionary(grouping: try ledger.orders(LedgerFilter(limit: 10_000)), by: { $0.status })
            .mapValues(\.count)
        #expect(states[.filled] == summary.trading.orderStates["filled"])
        #expect(states[.canceled] == summary.trading.orderStates["canceled"])
    }

    @Test func piecemealIsTheSameAsAtOnce() throws {
        let ledger = try ledger()
        for round in 1...40 {
            for _ in 1...(round % 7 + 1) { try run.trade() }
            let update = try ledger.update(runDirectory: run.path)
            #expect(update.failures.isEmpty && update.records > 0)
        }
        let piecemeal = try content(ledger)
        #expect(try ledger.update(runDirectory: run.path).records == 0)
        #expect(try content(ledger) == piecemeal)
        let rebuilt = try Ledger.rebuild(runDirectory: run.path)
        #expect(rebuilt.failures.isEmpty)
        #expect(try content(try self.ledger()) == piecemeal)
    }

    @Test func anotherVenuesLateFillsAreBookedInTheirTime() throws {
        // Read A's journal, then B's with fills from between A's: positions follow time, not the order of reading.
        let ledger = try ledger()
        var order = Order()
        (order.orderID, order.proposalID, order.strategy, order.symbol) = ("p/1", "p", "momentum", "BTCUSDT")
        for part in 1...6 {
            order.venue = part % 2 == 1 ? "VenueB" : "VenueA"
            order.side = part % 3 == 0 ? .sell : .buy
            var report = run.report(order, part)
            (report.lastQuantityE8, report.lastPriceE8) = (Int64(part) * 100_000_001, Int64(part) * 1_000_000_007)
            report.status = .partiallyFilled
            try run.send(.executionReport(report), from: order.venue, "reports")
        }
        let held = run.path + "/held"
        try FileManager.default.moveItem(atPath: run.path + "/agents/VenueB", toPath: held)
        #expect(try ledger.update(runDirectory: run.path).entries == 3)
        try FileManager.default.moveItem(atPath: held, toPath: run.path + "/agents/VenueB")
        #expect(try ledger.update(runDirectory: run.path).entries == 3)
        let late = try content(ledger)
        _ = try Ledger.rebuild(runDirectory: run.path)
        #expect(try content(try self.ledger()) == late)
        let summary = try RunSummary.load(runDirectory: run.path)
        #expect(try ledger.positions().map(\.position) == summary.portfolio.holdings.map(\.position))
    }

    @Test func anUpdateThatIsCutOffGoesOn() throws {
        struct Cut: Error {}
        for _ in 1...1_500 { try run.trade() }
        let whole = try Ledger(file: run.path + "/whole.sqlite")
        _ = try whole.takeIn(runDirectory: run.path)
        let ledger = try ledger()
        var cuts = 0
        for attempt in 0..<25 {
            var transactions = 0
            do {
                _ = try ledger.takeIn(runDirectory: run.path) {
                    transactions += 1
                    if transactions == attempt % 6 + 1 { throw Cut() }
                }
            } catch {
                cuts += 1
            }
        }
        _ = try ledger.takeIn(runDirectory: run.path)
        #expect(cuts > 0)
        #expect(try content(ledger) == content(whole))
    }

    @Test func aTrimmedJournalIsNoticedAndSaid() throws {
        run.options = JournalOptions(retention: .ring, segmentBytes: 16 << 10, maxTotalBytes: 32 << 10)
        for _ in 1...20 { try run.trade() }
        let ledger = try ledger()
        #expect(try ledger.update(runDirectory: run.path).gaps.isEmpty)
        JournalMark.remove(reader: Ledger.readerName, from: run.directory("Flow"))
        for _ in 1...600 { try run.trade() }
        let update = try ledger.update(runDirectory: run.path)
        let gap = try #require(update.gaps.first { $0.agent == "Flow" })
        #expect(update.failures.isEmpty && gap.first > 1 && gap.last > gap.first)
        #expect(gap.description.contains("dropped before the ledger saw them"))
        #expect(try ledger.gaps() == update.gaps)
        #expect(try ledger.update(runDirectory: run.path).gaps == update.gaps, "it is said for ever")
        // A new ledger would know even less.
        let file = Ledger.path(runDirectory: run.path)
        let before = FileManager.default.contents(atPath: file)
        guard
            case .trimmed(let journals) = #expect(
                throws: LedgerError.self,
                performing: {
                    try Ledger.rebuild(runDirectory: run.path)
                })
        else { return }
        #expect(journals.contains { $0.contains("records 1 to") })
        #expect(FileManager.default.contents(atPath: file) == before)
        #expect(try Ledger.rebuild(runDirectory: run.path, acceptGaps: true).gaps.count >= 1)
    }

    @Test func marksKeepWhatTheLedgerHasNotSeen() throws {
        run.options = JournalOptions(retention: .ring, segmentBytes: 16 << 10, maxTotalBytes: 32 << 10)
        try run.trade()
        let ledger = try ledger()
        for _ in 1...20 {
            for _ in 1...20 { try run.trade() }
            #expect(try ledger.update(runDirectory: run.path).gaps.isEmpty)
        }
        #expect(try JournalReader.segments(in: run.directory("Alpha"))[0] > 1, "and what it has seen goes")
        try Ledger.drop(runDirectory: run.path)
        #expect(throws: LedgerError.missing(file: Ledger.path(runDirectory: run.path))) {
            try Ledger(runDirectory: run.path, create: false)
        }
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: run.directory("Alpha")).allSatisfy {
                !$0.contains("reader")
            })
    }

    @Test func damageStopsTheLedgerThere() throws {
        for _ in 1...50 { try run.trade() }
        let file = run.directory("Flow") + "/0000000000000001.journal"
        let good = try #require(FileManager.default.contents(atPath: file))
        var bytes = [UInt8](good)
        bytes[4_096 + 2_000] ^= 4
        _ = FileManager.default.createFile(atPath: file, contents: Data(bytes))
        let ledger = try ledger()
        let update = try ledger.update(runDirectory: run.path)
        #expect(update.failures.count == 1 && update.failures[0].contains("\(file): damaged at byte"))
        let orders = try ledger.counts().orders
        #expect(orders > 0 && orders < 50)
        // Repaired, it goes on.
        _ = FileManager.default.createFile(atPath: file, contents: good)
        #expect(try ledger.update(runDirectory: run.path).failures.isEmpty)
        #expect(try ledger.counts().orders == (try RunSummary.load(runDirectory: run.path).trading.orders))
    }

    @Test func aReplacedJournalIsRefused() throws {
        for _ in 1...10 { try run.trade() }
        let ledger = try ledger()
        _ = try ledger.update(runDirectory: run.path)
        let other = TradedRun(seed: 8)
        for _ in 1...10 { try other.trade() }
        try FileManager.default.removeItem(atPath: run.directory("Alpha"))
        try FileManager.default.copyItem(atPath: other.directory("Alpha"), toPath: run.directory("Alpha"))
        let update = try ledger.update(runDirectory: run.path)
        #expect(update.failures.count == 1 && update.failures[0].contains("agentctl ledger rebuild"))
    }

    @Test func whatContradictsItselfIsNoted() throws {
        var order = Order()
        (order.orderID, order.venue, order.symbol, order.side) = ("p/1", "VenueA", "BTCUSDT", .buy)
        var report = run.report(order, 1)
        (report.lastQuantityE8, report.lastPriceE8) = (100, 100)
        try run.send(.executionReport(report), from: "VenueA", "reports")
        report.lastQuantityE8 = 200
        try run.send(.executionReport(report), from: "VenueA", "reports")
        report.executionID = "p/1#2"
        report.side = .unspecified
        try run.send(.executionReport(report), from: "VenueA", "reports")
        let ledger = try ledger()
        _ = try ledger.update(runDirectory: run.path)
        let problems = try ledger.problems()
        #expect(problems.count == 2 && problems[0].contains("told again, and differently"))
        #expect(problems[1].contains("makes no sense"))
        #expect(try ledger.counts().fills == 1)
    }

    @Test func aLaterVersionsLedgerIsRefused() throws {
        try run.trade()
        do {
            let ledger = try ledger()
            try ledger.write { try $0.execute(sql: "INSERT INTO grdb_migrations VALUES ('99')") }
        }
        #expect(throws: LedgerError.version(file: Ledger.path(runDirectory: run.path), schema: "99")) { try ledger() }
    }

    @Test func aDamagedFileIsOneClearError() throws {
        try run.trade()
        _ = try ledger().update(runDirectory: run.path)
        let file = Ledger.path(runDirectory: run.path)
        _ = FileManager.default.createFile(
            atPath: file, contents: Data("this is no database, and longer than a header".utf8))
        let error = #expect(throws: LedgerError.self) { try ledger() }
        #expect(error?.description.contains("agentctl ledger rebuild") == true)
        #expect(try Ledger.rebuild(runDirectory: run.path).failures.isEmpty)
        #expect(try ledger().counts().proposals.values.reduce(0, +) == 1)
    }

    @Test func noNumberIsAFloatingPointOne() throws {
        for _ in 1...20 { try run.trade() }
        let ledger = try ledger()
        _ = try ledger.update(runDirectory: run.path)
        try ledger.read { db in
            for table in ["proposal", "decision", "orders", "fill", "position"] {
                for row in try Row.fetchAll(db, sql: "SELECT * FROM \(table)") {
                    for (_, value) in row {
                        if case .double = value.storage { Issue.record("a double in \(table)") }
                    }
                }
            }
        }
    }
}
