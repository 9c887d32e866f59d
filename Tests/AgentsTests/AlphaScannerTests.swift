import AgentKit
import Market
import TestSupport
import Testing
import Wire

@testable import AlphaScanner
@testable import MarketFeed

private let recording = "l2/binance_usdm_btcusdt_20240808.gz"
private let second: Int64 = 1_000_000_000

private func level(_ price: Double, _ quantity: Double) throws -> Level {
    Level(price: try Price(price), quantity: try Quantity(quantity))
}

@Suite struct OrderFlowTests {
    /// Cont, Kukanov & Stoikov 2014, eq. 4, by hand.
    @Test func contributionsFollowThePaper() throws {
        let old = try level(100, 5)
        #expect(FlowImbalance.bidContribution(from: old, to: try level(100, 8)) == 3)
        #expect(FlowImbalance.bidContribution(from: old, to: try level(100, 2)) == -3)
        #expect(FlowImbalance.bidContribution(from: old, to: try level(101, 4)) == 4)
        #expect(FlowImbalance.bidContribution(from: old, to: try level(99, 4)) == -5)
        #expect(FlowImbalance.askContribution(from: old, to: try level(100, 8)) == -3)
        #expect(FlowImbalance.askContribution(from: old, to: try level(100, 2)) == 3)
        #expect(FlowImbalance.askContribution(from: old, to: try level(101, 4)) == 5)
        #expect(FlowImbalance.askContribution(from: old, to: try level(99, 4)) == -4)
    }

    @Test func levelsAreAveragedAndScaledByTheUsualQuantity() throws {
        var flow = FlowImbalance(levels: 2, timeConstantNs: 1e9)
        var book = OrderBook(symbol: "S", venue: "v")
        book.apply(snapshot(bids: [(100, 4), (99, 4)], asks: [(101, 4), (102, 4)]))
        flow.note(book, at: 0)
        #expect(flow.value(at: 0) == 0)
        // Bid 1 gains 2, ask 2 loses 4 and is replaced by a further one with 4: +4 by the formula.
        book.apply(snapshot(bids: [(100, 6), (99, 4)], asks: [(101, 4), (103, 4)]))
        flow.note(book, at: 0)
        // (2 + 4) / 2 levels = 3; usual quantity (16 + 18) / 8 levels.
        #expect(abs(try #require(flow.value(at: 0)) - 3 / (34.0 / 8)) < 1e-12)
        // After one time constant e⁻¹ of it is left.
        #expect(abs(try #require(flow.value(at: second)) - 3 / (34.0 / 8) * 0.367_879_441_171_442_33) < 1e-12)
        flow.lose()
        #expect(flow.value(at: 0) == nil)
    }

    /// Mirroring the book negates the flow.
    @Test func sidesAreSymmetric() throws {
        var random = SplitMix64(seed: 42)
        var flow = FlowImbalance(levels: 3, timeConstantNs: 1e9)
        var mirrored = FlowImbalance(levels: 3, timeConstantNs: 1e9)
        for step in 0..<200 {
            let bids = (0..<3).map { (100 - Double($0) - Double(random.next() % 2), Double(random.next() % 9 + 1)) }
            let asks = (0..<3).map { (103 + Double($0) + Double(random.next() % 2), Double(random.next() % 9 + 1)) }
            var book = OrderBook(symbol: "S", venue: "v")
            book.apply(snapshot(bids: bids, asks: asks))
            var mirror = OrderBook(symbol: "S", venue: "v")
            mirror.apply(snapshot(bids: asks.map { (203 - $0.0, $0.1) }, asks: bids.map { (203 - $0.0, $0.1) }))
            flow.note(book, at: Int64(step) * 100_000_000)
            mirrored.note(mirror, at: Int64(step) * 100_000_000)
            let (value, other) = (flow.value(at: Int64(step) * second), mirrored.value(at: Int64(step) * second))
            #expect(abs(try #require(value) + (try #require(other))) < 1e-9)
        }
    }
}

@Suite struct SignalGateTests {
    @Test func beginsRepeatsAndEnds() {
        let steps: [(z: Double, timeNs: Int64, passes: Bool, direction: Double)] = [
            (1.9, 0, false, 0),
            (2, 10, true, 1),
            (3, 109, false, 1),  // throttled
            (1.5, 110, true, 1),  // still on between exit and enter
            (1, 111, true, 0),  // its end is told at once
            (2.5, 112, false, 0),  // a new beginning waits for the throttle
            (2.5, 211, true, 1),
            (-2.5, 212, true, -1),  // a reversal is told at once
        ]
        var gate = SignalGate(enter: 2, exit: 1, throttleNs: 100)
        for step in steps {
            let passes = gate.passes(step.z, at: step.timeNs)
            #expect(passes == step.passes, "at \(step.timeNs)")
            #expect(gate.direction == step.direction, "at \(step.timeNs)")
        }
    }
}

@Suite struct RobustScaleTests {
    /// Against median and MAD computed the plain way.
    @Test func equalsThePlainComputation() {
        var random = SplitMix64(seed: 7)
        for capacity in [2, 3, 10, 51] {
            var scale = RobustScale(capacity: capacity)
            var samples: [Double] = []
            for _ in 0..<200 {
                let sample = Double(Int64(bitPattern: random.next()) % 20)
                samples.append(sample)
                scale.add(sample)
                let window = Array(samples.suffix(capacity))
                let middle = median(window)
                #expect(scale.median == middle)
                #expect(scale.deviation == median(window.map { abs($0 - middle) }))
                let inside = window.filter { abs($0 - middle) < abs(sample - middle) }.count
                #expect(scale.shareLessExtreme(than: sample) == Double(inside) / Double(window.count))
            }
            #expect(scale.z(.nan) == nil)
        }
        var flat = RobustScale(capacity: 5)
        flat.add(1)
        #expect(flat.z(2) == nil)
        flat.add(.infinity)
        #expect(flat.count == 1)
    }

    private func median(_ values: [Double]) -> Double {
        let sorted = values.sorted()
        let middle = sorted.count / 2
        return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }
}

@Suite struct AlphaScannerTests {
    private func bench(_ settings: [String: SettingValue] = [:]) throws -> AgentBench<AlphaScanner> {
        try AgentBench<AlphaScanner>(
            inputs: [.init("book", .bookUpdate), .init("trades", .trade)], outputs: [.init("signals", .signal)],
            settings: settings)
    }

    /// A quiet market with small noise, long enough to know what is usual.
    private func warm(_ bench: inout AgentBench<AlphaScanner>, steps: Int = 300, seed: UInt64 = 3) -> Int64 {
        var random = SplitMix64(seed: seed)
        for step in 0..<steps {
            let bid = 10 + Double(random.next() % 5)
            let ask = 10 + Double(random.next() % 5)
            bench.receive(
                .bookUpdate(snapshot(bids: [(100, bid)], asks: [(101, ask)], at: Int64(step) * 100_000_000)), on: "book"
            )
        }
        return Int64(steps) * 100_000_000
    }

    private func signals(_ sent: [AgentBench<AlphaScanner>.Sent]) -> [Signal] {
        sent.compactMap { if case .signal(let signal) = $0.payload { signal } else { nil } }
    }

    @Test(arguments: [1.0, -1.0])
    func pressureGivesASignalOfItsSign(direction: Double) throws {
        var bench = try bench()
        // Behind the throttle of whatever the noise has set off.
        let time = warm(&bench) + second
        let (bid, ask) = direction > 0 ? (60.0, 2.0) : (2.0, 60.0)
        let sent = signals(
            bench.receive(.bookUpdate(snapshot(bids: [(100, bid)], asks: [(101, ask)], at: time)), on: "book"))
        let signal = try #require(sent.first)
        #expect(sent.count == 1)
        #expect(signal.name == "order_flow")
        #expect(signal.symbol == "S")
        #expect(signal.value * direction >= 2)
        #expect((0.9...1).contains(signal.confidence))
        #expect(signal.exchangeTimeNs == time)
        #expect(signal.horizonNs == 2 * second)
        #expect(signal.observations > 1)
        #expect(signal.dataOrigin == .recorded)
    }

    @Test func aFeedWithoutPressureOrHistoryIsSilent() throws {
        var bench = try bench()
        #expect(
            bench.receive(.bookUpdate(snapshot(bids: [(100, 90)], asks: [(101, 1)], at: 0)), on: "book").isEmpty)
        for step in 0..<500 {
            let same = snapshot(bids: [(100, 5)], asks: [(101, 5)], at: Int64(step) * second)
            #expect(bench.receive(.bookUpdate(same), on: "book").isEmpty, "nothing is unusual when nothing varies")
        }
    }

    @Test func tradesByTheirAggressorPressToo() throws {
        var bench = try bench([
            "weightQueue": .number(0), "weightFlow": .number(0), "weightMicro": .number(0), "weightTrades": .number(1),
        ])
        var random = SplitMix64(seed: 9)
        var time: Int64 = 0
        for _ in 0..<400 {
            time += 100_000_000
            bench.receive(.bookUpdate(snapshot(bids: [(100, 5)], asks: [(101, 5)], at: time)), on: "book")
            bench.receive(.trade(trade(1, random.next() % 2 == 0 ? .buy : .sell, at: time)), on: "trades")
        }
        var values: [Double] = []
        for _ in 0..<50 {
            time += 1_000_000
            values += signals(bench.receive(.trade(trade(10, .sell, at: time)), on: "trades")).map(\.value)
        }
        #expect(!values.isEmpty)
        #expect(values.allSatisfy { $0 < 0 })
        #expect(bench.receive(.trade(trade(10, .unspecified, at: time)), on: "trades").isEmpty)
    }

    @Test func whatIsNotWholeSaysNothing() throws {
        var bench = try bench()
        var time = warm(&bench)
        // Crossed: logged once, silent, recovers.
        for _ in 0..<3 {
            time += 100_000_000
            let crossed = snapshot(bids: [(102, 90)], asks: [(101, 1)], at: time)
            #expect(bench.receive(.bookUpdate(crossed), on: "book").isEmpty)
        }
        #expect(bench.counters["books crossed"] == 1)
        // Malformed: arrays of unequal length.
        var malformed = snapshot(bids: [(100, 90)], asks: [(101, 1)], at: time)
        malformed.askQuantityE8 = []
        #expect(bench.receive(.bookUpdate(malformed), on: "book").isEmpty)
        #expect(bench.counters["book updates malformed"] == 1)
        // A numbered book with a gap.
        var numbered = snapshot(bids: [(100, 90)], asks: [(101, 1)], at: time)
        (numbered.venue, numbered.firstUpdateID, numbered.lastUpdateID) = ("numbered", 10, 10)
        bench.receive(.bookUpdate(numbered), on: "book")
        (numbered.snapshot, numbered.firstUpdateID, numbered.lastUpdateID) = (false, 20, 25)
        #expect(bench.receive(.bookUpdate(numbered), on: "book").isEmpty)
        #expect(bench.counters["book gaps"] == 1)
        #expect(bench.log.filter { $0.level == .warning }.count == 3)
    }

    @Test func aBookThatStandsStillWhileItTradesIsStale() throws {
        var bench = try bench(["staleSeconds": .number(1)])
        let time = warm(&bench)
        // A trade that is ahead in market time only, as in a fast replay, says nothing about the book.
        bench.receive(.trade(trade(100, .buy, at: time + 20 * second)), on: "trades")
        #expect(bench.counters["books stale"] == nil)
        bench.advance(by: .milliseconds(1_001))
        for step in 0..<100 {
            let late = trade(100, .buy, at: time + 20 * second + Int64(step) * 1_000)
            #expect(bench.receive(.trade(late), on: "trades").isEmpty)
        }
        #expect(bench.counters["books stale"] == 1)
    }

    /// Trades that come seconds of market time before their book: no alarm, and the book's clock holds.
    @Test func wiresThatAreApartRaiseNoAlarm() throws {
        var bench = try bench()
        var items = SimulatedMarket(SimulatedMarket.Parameters())
        var books: [Payload] = []
        for _ in 0..<20_000 {
            for payload in items.next()?.messages ?? [] {
                if case .trade = payload { bench.receive(payload, on: "trades") }
                if case .bookUpdate = payload { books.append(payload) }
            }
            guard books.count > 200 else { continue }
            guard case .bookUpdate(let update) = books.removeFirst() else { continue }
            for case .signal(let signal) in bench.receive(.bookUpdate(update), on: "book").map(\.payload) {
                #expect(signal.exchangeTimeNs == update.exchangeTimeNs)
            }
        }
        #expect(bench.log.isEmpty)
        #expect(bench.counters["signals"] ?? 0 > 0)
    }

    @Test func burstsAreNoticedOnce() throws {
        var bench = try bench()
        let time = warm(&bench)
        for step in 0..<2_000 {
            let update = snapshot(bids: [(100, 10)], asks: [(101, 10)], at: time + Int64(step) * 100_000)
            bench.receive(.bookUpdate(update), on: "book")
        }
        #expect(bench.counters["message bursts"] == 1)
    }

    @Test func booksAreBounded() throws {
        var bench = try bench()
        for index in 0..<(AlphaScanner.maxBooks + 3) {
            var update = snapshot(bids: [(100, 1)], asks: [(101, 1)], at: 0)
            update.symbol = "S\(index)"
            bench.receive(.bookUpdate(update), on: "book")
        }
        #expect(bench.counters["messages of further books"] == 3)
        #expect(bench.log.count == 1)
    }

    @Test func senselessSettingsAreRefused() {
        #expect(throws: AgentFailure.self) { try bench(["enter": .number(1), "exit": .number(1)]) }
        #expect(throws: AgentFailure.self) {
            try bench([
                "weightQueue": .number(0), "weightFlow": .number(0), "weightMicro": .number(0),
                "weightTrades": .number(0),
            ])
        }
        #expect(throws: AgentFailure.self) { try bench(["levels": .number(11)]) }
        #expect(throws: AgentFailure.self) { try bench(["nonsense": .number(11)]) }
    }

    /// On the real recording the signal must say something about the mid two seconds later.
    @Test(.enabled(if: SenseData.has(recording), "needs ../shared/data"))
    func onTheRecordingTheSignalPrecedesThePrice() throws {
        var items = try BinanceRecording(path: SenseData.path(recording), snapshotEveryNs: second)
        let outcome = try Replay.measure(bench(), &items)
        print("AlphaScanner on the recording: \(outcome)")
        #expect(outcome.signals > 100)
        #expect(outcome.correlation[1] > 0.03)
        #expect(outcome.hitRate > 0.5)
        #expect(outcome.anomalies == 0)
    }

    @Test func onTheSimulatedMarketTooItPrecedesThePrice() throws {
        var parameters = SimulatedMarket.Parameters()
        parameters.events = 60_000
        var items = SimulatedMarket(parameters)
        let outcome = try Replay.measure(bench(), &items)
        print("AlphaScanner on the simulated market: \(outcome)")
        #expect(outcome.signals > 100)
        #expect(outcome.correlation[1] > 0.03)
        #expect(outcome.hitRate > 0.5)
        #expect(outcome.anomalies == 0)
    }
}

/// Signals of a market against the mid that followed.
private struct Replay: CustomStringConvertible {
    static let horizonsMs: [Int64] = [500, 2_000, 5_000, 10_000]

    var updates = 0
    var signals = 0
    var anomalies: UInt64 = 0
    /// Of value and return, by horizon.
    var correlation: [Double] = []
    /// Mean return in the direction of the signal, basis points, by horizon.
    var meanBps: [Double] = []
    /// Of the moves within 2 s, the share in the direction of the signal.
    var hitRate = 0.0

    var description: String {
        "\(updates) messages, \(signals) signals, horizons \(Self.horizonsMs) ms: correlation \(correlation), "
            + "mean \(meanBps) bp, hit rate \(hitRate)"
    }

    static func measure(_ scanner: AgentBench<AlphaScanner>, _ items: inout some MarketItems) throws -> Replay {
        var bench = scanner
        var replay = Replay()
        var times: [Int64] = []
        var mids: [Double] = []
        var signals: [(timeNs: Int64, value: Double, mid: Double)] = []
        while let item = items.next() {
            for payload in item.messages {
                var sent: [AgentBench<AlphaScanner>.Sent] = []
                switch payload {
                case .bookUpdate: sent = bench.receive(payload, on: "book")
                case .trade: sent = bench.receive(payload, on: "trades")
                case .quote(let quote):
                    if let mid = quote.mid, quote.exchangeTimeNs >= times.last ?? 0 {
                        times.append(quote.exchangeTimeNs)
                        mids.append(mid.double)
                    }
                    continue
                default: continue
                }
                replay.updates += 1
                for case .signal(let signal) in sent.map(\.payload) {
                    signals.append((signal.exchangeTimeNs, signal.value, mids.last ?? 0))
                }
            }
        }
        replay.signals = signals.count
        replay.anomalies = ["book gaps", "book updates malformed", "books crossed"].reduce(0) {
            $0 + (bench.counters[$1] ?? 0)
        }
        for horizonMs in horizonsMs {
            let pairs: [(Double, Double)] = signals.compactMap { signal in
                guard signal.mid > 0, signal.timeNs + horizonMs * 1_000_000 <= times.last ?? 0 else { return nil }
                let index = times.partition(atMost: signal.timeNs + horizonMs * 1_000_000)
                return (signal.value, (mids[index] / signal.mid - 1) * 1e4)
            }
            replay.correlation.append(correlation(pairs))
            replay.meanBps.append(
                pairs.reduce(0) { $0 + ($1.0 < 0 ? -$1.1 : $1.1) } / Double(max(pairs.count, 1)))
            if horizonMs == 2_000 {
                let moved = pairs.filter { $0.1 != 0 }
                replay.hitRate = Double(moved.filter { $0.0 * $0.1 > 0 }.count) / Double(max(moved.count, 1))
            }
        }
        return replay
    }

    private static func correlation(_ pairs: [(Double, Double)]) -> Double {
        let count = Double(pairs.count)
        let (x, y) = (pairs.reduce(0) { $0 + $1.0 } / count, pairs.reduce(0) { $0 + $1.1 } / count)
        let covariance = pairs.reduce(0) { $0 + ($1.0 - x) * ($1.1 - y) }
        let (sx, sy) = (
            pairs.reduce(0) { $0 + ($1.0 - x) * ($1.0 - x) }, pairs.reduce(0) { $0 + ($1.1 - y) * ($1.1 - y) }
        )
        return covariance / (sx * sy).squareRoot()
    }
}

extension [Int64] {
    /// Index of the last element not above `value` in a sorted array; 0 when there is none.
    fileprivate func partition(atMost value: Int64) -> Int {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if self[middle] <= value { low = middle + 1 } else { high = middle }
        }
        return Swift.max(0, low - 1)
    }
}

private func snapshot(
    bids: [(Double, Double)], asks: [(Double, Double)], at timeNs: Int64 = 0
) -> BookUpdate {
    var update = BookUpdate()
    (update.symbol, update.venue, update.snapshot, update.exchangeTimeNs) = ("S", "v", true, timeNs)
    update.dataOrigin = .recorded
    update.bidPriceE8 = bids.map { Int64($0.0 * 1e8) }
    update.bidQuantityE8 = bids.map { Int64($0.1 * 1e8) }
    update.askPriceE8 = asks.map { Int64($0.0 * 1e8) }
    update.askQuantityE8 = asks.map { Int64($0.1 * 1e8) }
    return update
}

private func trade(_ quantity: Double, _ side: Side, at timeNs: Int64) -> Trade {
    var trade = Trade()
    (trade.symbol, trade.venue, trade.aggressor, trade.exchangeTimeNs) = ("S", "v", side, timeNs)
    trade.priceE8 = 100 * 100_000_000
    trade.quantityE8 = Int64(quantity * 1e8)
    trade.dataOrigin = .recorded
    return trade
}
