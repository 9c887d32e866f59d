import AgentKit
import Glibc
import Market
import Testing
import Wire

@testable import DarkPoolScan
@testable import VolumeFeed

private let regSho = "darkpool/regsho_venue_volume_XRT_IWM_VTI_IJR_2020_2021.psv"
private let weekly = "darkpool/finra_ats_weekly_AAPL_BRKB_2021_2026.csv"
private let lobster = "lobster/AMZN_2012-06-21_34200000_57600000_message_1.csv"
private let second: Int64 = 1_000_000_000
private let day: Int64 = 86_400 * second

@Suite struct DarkPoolScanTests {
    private func bench(_ settings: [String: SettingValue] = [:]) throws -> AgentBench<DarkPoolScan> {
        try AgentBench<DarkPoolScan>(
            inputs: [.init("volumes", .venueVolume), .init("trades", .trade)], outputs: [.init("signals", .signal)],
            settings: settings)
    }

    private func signals(_ sent: [AgentBench<DarkPoolScan>.Sent]) -> [Signal] {
        sent.compactMap { if case .signal(let signal) = $0.payload { signal } else { nil } }
    }

    // ---- formulas by hand

    @Test func aTallyMeasuresItsVenues() {
        var tally = VenueTally(volume(dayIndex: 0, "T", dark: true, 30))
        #expect(tally.add(volume(dayIndex: 0, "T", dark: true, 30, short: 12, trades: 3)) == .added)
        #expect(tally.darkShare == nil, "no exchange is covered")
        #expect(tally.concentration == nil)
        #expect(tally.add(volume(dayIndex: 0, "N", dark: false, 50, short: 40)) == .added)
        #expect(tally.add(volume(dayIndex: 0, "Z", dark: false, 10)) == .added)
        #expect(tally.add(volume(dayIndex: 0, "Z", dark: false, 20)) == .revised)
        #expect(tally.darkShare == 0.3)
        #expect(abs((tally.concentration ?? 0) - (0.09 + 0.25 + 0.04)) < 1e-12)
        #expect(tally.darkShortRatio == 0.4)
        #expect(tally.darkTradeSize == 10)
    }

    @Test func zIsAgainstThePeriodsBefore() throws {
        var window = TrailingWindow(capacity: 3)
        #expect(window.z(5, minimum: 2) == nil)
        window.add(1)
        window.add(3)
        // Mean 2, sample deviation √2.
        #expect(abs(try #require(window.z(4, minimum: 2)) - 2 / 2.0.squareRoot()) < 1e-12)
        window.add(5)
        window.add(7)  // 3, 5, 7: mean 5, deviation 2
        #expect(abs(try #require(window.z(9, minimum: 2)) - 2) < 1e-12)
        #expect(window.z(.nan, minimum: 2) == nil)
        window.add(.infinity)
        #expect(window.count == 3)
        var flat = TrailingWindow(capacity: 5)
        for _ in 0..<5 { flat.add(0.1) }
        #expect(flat.z(0.2, minimum: 2) == nil)
    }

    @Test func theTickRuleStandsInForAMissingAggressor() {
        var sign = PrintSign()
        #expect(sign.side(of: print(100, 1)).side == .unspecified)
        #expect(sign.side(of: print(100, 1)).side == .unspecified)
        #expect(sign.side(of: print(101, 1)).side == .buy)
        #expect(sign.side(of: print(101, 1)).side == .buy)
        #expect(sign.side(of: print(100, 1)).side == .sell)
        #expect(sign.side(of: print(100, 1)).probability == PrintSign.tickRuleAccuracy)
        let stated = sign.side(of: print(100, 1, .buy))
        #expect(stated.side == .buy && stated.probability == 1)
    }

    // ---- venue volumes

    @Test func anUnusualShareIsToldWhenItsPublicationIsComplete() throws {
        var bench = try bench()
        for index in 0..<12 {
            let wobble = Double(index % 3)
            #expect(
                bench.receive(.venueVolume(volume(dayIndex: index, "T", dark: true, 30 + wobble)), on: "volumes")
                    .isEmpty)
            #expect(bench.receive(.venueVolume(volume(dayIndex: index, "N", dark: false, 70)), on: "volumes").isEmpty)
        }
        bench.receive(.venueVolume(volume(dayIndex: 12, "T", dark: true, 60)), on: "volumes")
        #expect(bench.receive(.venueVolume(volume(dayIndex: 12, "N", dark: false, 70)), on: "volumes").isEmpty)
        // No further row comes: the quiet timer completes the publication.
        let told = signals(bench.advance(by: .seconds(3)))
        let share = try #require(told.first { $0.name == "dark_share" })
        #expect(share.value > 5)
        #expect(share.confidence > 0.99 && share.confidence <= 1)
        #expect(share.exchangeTimeNs == volume(dayIndex: 12, "T", dark: true, 1).publishedTimeNs)
        #expect(share.symbol == "S")
        #expect(share.observations == 2 + 12)
        #expect(bench.timers.isEmpty, "nothing is left that wakes it up")
        #expect(bench.advance(by: .seconds(60)).isEmpty)
    }

    @Test func badLateAndRepeatedRowsDoNotCount() throws {
        var bench = try bench()
        bench.receive(.venueVolume(volume(dayIndex: 5, "T", dark: true, 30)), on: "volumes")
        bench.receive(.venueVolume(volume(dayIndex: 6, "T", dark: true, 30)), on: "volumes")
        bench.receive(.venueVolume(volume(dayIndex: 5, "N", dark: false, 30)), on: "volumes")
        #expect(bench.counters["volumes late"] == 1)
        var bad = volume(dayIndex: 7, "T", dark: true, 30)
        bad.publishedTimeNs = bad.periodStartTimeNs
        bench.receive(.venueVolume(bad), on: "volumes")
        bench.receive(.venueVolume(volume(dayIndex: 7, "T", dark: true, -1)), on: "volumes")
        bench.receive(.venueVolume(volume(dayIndex: 7, "T", dark: true, 1, short: 2)), on: "volumes")
        bad = volume(dayIndex: 7, "T", dark: true, 30)
        (bad.periodStartTimeNs, bad.periodNs) = (.max - 1, 10)
        bench.receive(.venueVolume(bad), on: "volumes")
        #expect(bench.counters["volumes refused"] == 4)
    }

    @Test func openPeriodsAreBounded() throws {
        var periods = VenuePeriods(.init(window: 20, minimum: 10))
        for index in 0..<(VenuePeriods.maxOpenPeriods + 5) {
            var row = volume(dayIndex: 1, "T", dark: true, 1)
            row.symbol = "S\(index)"
            _ = periods.add(row)
        }
        #expect(periods.counts.refused == 5)
    }

    /// Every reading of the real file against shares, Herfindahl index and z computed the plain way.
    @Test(.enabled(if: SenseData.has(regSho), "needs ../shared/data"))
    func onRealVolumesItEqualsThePlainComputation() throws {
        let rows = try VolumeTable(path: SenseData.path(regSho)).rows
        var periods = VenuePeriods(.init(window: 20, minimum: 10))
        var readings: [VenuePeriods.Reading] = []
        for row in rows { readings += periods.add(row) }
        readings += periods.closeAll()
        #expect(periods.counts.late == 0 && periods.counts.refused == 0 && periods.counts.revised == 0)

        // Plainly: from the text of the file, by symbol and date.
        var days: [String: [(isDark: Bool, volume: Double, short: Double)]] = [:]
        for record in try SenseData.records(regSho, separator: UInt8(ascii: "|")).dropFirst() {
            let file = record[6]
            let isDark = file.hasPrefix("2 FN")
            days["\(record[1]) \(record[0])", default: []].append(
                (isDark, try #require(Double(record[4])), try #require(Double(record[2]))))
        }
        #expect(days.count == 4 * 388)
        var shares: [String: [Double]] = [:]
        var expected: [Double?] = []
        for key in days.keys.sorted(by: { ($0.suffix(8), $0) < ($1.suffix(8), $1) }) {
            let rows = try #require(days[key])
            let total = rows.reduce(0) { $0 + $1.volume }
            let share = rows.reduce(0) { $0 + ($1.isDark ? $1.volume : 0) } / total
            let symbol = String(key.prefix { $0 != " " })
            let before = (shares[symbol] ?? []).suffix(20)
            if before.count >= 10 {
                let mean = before.reduce(0, +) / Double(before.count)
                let variance = before.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(before.count - 1)
                expected.append((share - mean) / variance.squareRoot())
            } else {
                expected.append(nil)
            }
            shares[symbol, default: []].append(share)
        }
        let dark = readings.filter { $0.measure == .darkShare }
        #expect(dark.count == expected.count)
        for (reading, z) in zip(dark, expected) {
            #expect((reading.z == nil) == (z == nil))
            #expect(abs((reading.z ?? 0) - (z ?? 0)) < 1e-9)
        }
        let concentration = readings.filter { $0.measure == .concentration }
        #expect(concentration.count == 4 * 388)
        #expect(concentration.allSatisfy { $0.value > 1.0 / 14 && $0.value <= 1 })
        #expect(readings.filter { $0.measure == .darkTradeSize }.isEmpty)
    }

    /// No look-ahead: what a prefix of the file gives does not change when the rest follows.
    @Test(.enabled(if: SenseData.has(regSho), "needs ../shared/data"))
    func theFutureDoesNotChangeWhatWasSaid() throws {
        let rows = try VolumeTable(path: SenseData.path(regSho)).rows
        var whole = VenuePeriods(.init(window: 20, minimum: 10))
        var readings: [VenuePeriods.Reading] = []
        for row in rows {
            for reading in whole.add(row) {
                #expect(reading.publishedNs < row.publishedTimeNs)
                readings.append(reading)
            }
        }
        var cut = VenuePeriods(.init(window: 20, minimum: 10))
        var early: [VenuePeriods.Reading] = []
        for row in rows.prefix(rows.count / 2) { early += cut.add(row) }
        #expect(Array(readings.prefix(early.count)) == early)
    }

    @Test(.enabled(if: SenseData.has(weekly), "needs ../shared/data"))
    func weeklyVolumesGiveTradeSizesOnlyAfterTheirDelay() throws {
        var bench = try bench(["enter": .number(0)])
        var told: [Signal] = []
        for row in try VolumeTable(path: SenseData.path(weekly)).rows {
            told += signals(bench.receive(.venueVolume(row), on: "volumes"))
        }
        told += signals(bench.stop())
        #expect(Set(told.map(\.name)) == ["dark_trade_size"], "a share needs exchanges beside the ATSs")
        #expect(told.count > 400)
        #expect(Set(told.map(\.symbol)) == ["AAPL", "BRK.B"])
        #expect(bench.counters["volumes late"] == nil && bench.counters["volumes refused"] == nil)
    }

    // ---- prints

    @Test func blocksAreToldWithTheirSide() throws {
        var bench = try bench()
        bench.receive(.trade(print(20, 100)), on: "trades")
        let signal = try #require(signals(bench.receive(.trade(print(19, 20_000)), on: "trades")).first)
        #expect(signal.name == "block_print")
        #expect(signal.value == -2)  // 20,000 of 10,000 shares; 380,000 of 200,000 is less
        #expect(signal.confidence == PrintSign.tickRuleAccuracy)
        let byValue = try #require(signals(bench.receive(.trade(print(1_000, 500, .buy)), on: "trades")).first)
        #expect(byValue.value == 2.5)
        #expect(byValue.confidence == 1)
        #expect(bench.receive(.trade(print(19, 9_999)), on: "trades").isEmpty)
        #expect(bench.receive(.trade(print(0, 20_000, .buy)), on: "trades").isEmpty)
        #expect(bench.receive(.trade(print(19, -20_000, .buy)), on: "trades").isEmpty)
        #expect(bench.counters["prints malformed"] == 2)
    }

    @Test func unusualHiddenExecutionsAreToldWithTheirLean() throws {
        var bench = try bench(["hiddenSampleSeconds": .number(1), "hiddenSeconds": .number(10)])
        var time: Int64 = 0
        for index in 0..<600 {
            time += second / 4
            let isHidden = index % 10 == 0
            let side: Side = index % 20 == 0 ? .buy : .sell
            #expect(bench.receive(.trade(print(100, 10, side, isHidden, at: time)), on: "trades").isEmpty || index > 80)
        }
        var told: [Signal] = []
        for _ in 0..<400 {
            time += second / 4
            told += signals(bench.receive(.trade(print(100, 10, .sell, true, at: time)), on: "trades"))
        }
        #expect(!told.isEmpty)
        #expect(told.allSatisfy { $0.name == "hidden_share" && $0.value < 0 && (0...1).contains($0.confidence) })
        for (first, next) in zip(told, told.dropFirst()) {
            #expect(next.exchangeTimeNs - first.exchangeTimeNs >= 60 * second)
        }
    }

    @Test func withoutHiddenFlagsThereIsNoHiddenShare() throws {
        var bench = try bench(["hiddenSampleSeconds": .number(1)])
        for index in 0..<2_000 {
            let side: Side = index % 3 == 0 ? .buy : .sell
            #expect(bench.receive(.trade(print(100, 10, side, false, at: Int64(index) * second)), on: "trades").isEmpty)
        }
    }

    /// LOBSTER: 2,445 hidden of 11,419 executions; the decayed share must equal the sum computed from all prints.
    @Test(.enabled(if: SenseData.has(lobster), "needs ../shared/data"))
    func onLobsterTheHiddenShareEqualsThePlainSum() throws {
        var flow = HiddenFlow(timeConstantNs: 300e9, sampleNs: 30 * second)
        var prints: [(seconds: Double, quantity: Double, isHidden: Bool, sign: Double)] = []
        var hiddenCount = 0
        var compared = 0
        for record in try SenseData.records(lobster).dropFirst() where record[1] == "4" || record[1] == "5" {
            let isHidden = record[1] == "5"
            hiddenCount += isHidden ? 1 : 0
            let seconds = try #require(Double(record[0]))
            let quantity = try #require(Double(record[3]))
            let sign = -(try #require(Double(record[5])))
            prints.append((seconds, quantity, isHidden, sign))
            let reading = flow.note(
                quantity: quantity, sign: sign, isHidden: isHidden, at: Int64((seconds * 1e9).rounded()))
            guard let reading, prints.count % 500 == 0 else { continue }
            let weights = prints.map { exp(-(seconds - $0.seconds) / 300) * $0.quantity }
            let all = weights.reduce(0, +)
            let hidden = zip(weights, prints).reduce(0) { $0 + ($1.1.isHidden ? $1.0 : 0) }
            let signed = zip(weights, prints).reduce(0) { $0 + ($1.1.isHidden ? $1.0 * $1.1.sign : 0) }
            #expect(abs(reading.share - hidden / all) < 1e-6)
            #expect(abs(reading.lean - signed / hidden) < 1e-6)
            compared += 1
        }
        #expect(prints.count == 11_419 && hiddenCount == 2_445)
        #expect(compared > 15)
    }

    @Test(.enabled(if: SenseData.has(lobster), "needs ../shared/data"))
    func onLobsterItFindsBlocksAndHiddenShares() throws {
        var bench = try bench()
        var names: [String: Int] = [:]
        var blocks = 0
        for record in try SenseData.records(lobster).dropFirst() where record[1] == "4" || record[1] == "5" {
            let price = try #require(Double(record[4])) / 1e4
            let quantity = try #require(Double(record[3]))
            if price * quantity >= 200_000 || quantity >= 10_000 { blocks += 1 }
            let time = Int64((try #require(Double(record[0])) * 1e9).rounded())
            let trade = print(price, quantity, record[5] == "1" ? .sell : .buy, record[1] == "5", at: time)
            for signal in signals(bench.receive(.trade(trade), on: "trades")) { names[signal.name, default: 0] += 1 }
        }
        Swift.print("DarkPoolScan on LOBSTER: \(names)")
        #expect(names["block_print"] ?? 0 == blocks)
        #expect(names["hidden_share"] ?? 0 > 0)
    }

    @Test func senselessSettingsAreRefused() {
        #expect(throws: AgentFailure.self) { try bench(["window": .number(5), "minimumPeriods": .number(6)]) }
        #expect(throws: AgentFailure.self) { try bench(["blockQuantity": .number(0)]) }
    }
}

private func volume(
    dayIndex: Int, _ venue: String, dark: Bool, _ quantity: Double, short: Double = 0, trades: UInt64 = 0
) -> VenueVolume {
    var volume = VenueVolume()
    (volume.symbol, volume.venue, volume.offExchange) = ("S", venue, dark)
    volume.periodStartTimeNs = Int64(dayIndex) * day
    volume.periodNs = day / 2
    volume.publishedTimeNs = Int64(dayIndex) * day + day * 3 / 4
    volume.volumeE8 = Int64(quantity * 1e8)
    volume.shortVolumeE8 = Int64(short * 1e8)
    volume.trades = trades
    volume.dataOrigin = .recorded
    return volume
}

private func print(
    _ price: Double, _ quantity: Double, _ side: Side = .unspecified, _ isHidden: Bool = false, at timeNs: Int64 = 0
) -> Trade {
    var trade = Trade()
    (trade.symbol, trade.venue, trade.aggressor, trade.hidden) = ("S", "v", side, isHidden)
    trade.priceE8 = Int64((price * 1e8).rounded())
    trade.quantityE8 = Int64((quantity * 1e8).rounded())
    trade.exchangeTimeNs = timeNs
    return trade
}
