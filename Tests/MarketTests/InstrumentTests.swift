import Foundation
import Market
import Testing
import Wire

@Suite("Instruments and sides") struct InstrumentTests {
    let bitcoin = Instrument.known["BTCUSDT"]!

    @Test func roundsPricesBySide() throws {
        let between = price("61800.17")
        #expect(try bitcoin.roundedToTick(between, .buy, .passive) == price("61800.1"))
        #expect(try bitcoin.roundedToTick(between, .sell, .passive) == price("61800.2"))
        #expect(try bitcoin.roundedToTick(between, .buy, .aggressive) == price("61800.2"))
        #expect(try bitcoin.roundedToTick(between, .sell, .aggressive) == price("61800.1"))
        #expect(try bitcoin.roundedToTick(price("61800.1"), .sell, .passive) == price("61800.1"))
        #expect(throws: ArithmeticOverflow.self) { try bitcoin.roundedToTick(between, .unspecified, .passive) }
        #expect(throws: ArithmeticOverflow.self) { try bitcoin.roundedToTick(between, .UNRECOGNIZED(9), .passive) }
    }

    @Test func roundsQuantitiesDown() throws {
        #expect(try bitcoin.roundedDownToLot(quantity("0.0019")) == quantity("0.001"))
        #expect(try bitcoin.roundedDownToLot(quantity("-0.0019")) == quantity("-0.001"))
        #expect(try bitcoin.roundedDownToLot(quantity("0.0009")) == .zero)
        #expect(bitcoin.isOnLot(quantity("0.003")) && !bitcoin.isOnLot(quantity("0.0035")))
        #expect(bitcoin.isOnTick(price("1.1")) && !bitcoin.isOnTick(price("1.11")))
    }

    @Test func knowsTheSmallestOrder() throws {
        #expect(bitcoin.meetsMinimum(price("50000"), quantity("0.002")))
        #expect(!bitcoin.meetsMinimum(price("49999.9"), quantity("0.002")))
        #expect(!bitcoin.meetsMinimum(.max, .max))  // does not fit: fail closed
    }

    @Test func appliesTheMultiplier() throws {
        let option = try #require(
            Instrument(
                symbol: "X", base: "X", quote: "USD", tickSize: price("0.01"), lotSize: quantity("1"),
                contractMultiplier: Factor(whole: 100)!))
        #expect(try option.notional(price("1.25"), quantity("3")) == money("375"))
    }

    @Test func refusesNonsense() {
        #expect(Instrument(symbol: "X", base: "", quote: "", tickSize: .zero, lotSize: .ulp) == nil)
        #expect(Instrument(symbol: "X", base: "", quote: "", tickSize: .ulp, lotSize: quantity("-1")) == nil)
        #expect(Instrument(symbol: "", base: "", quote: "", tickSize: .ulp, lotSize: .ulp) == nil)
        let text = #"{"symbol":"X","tickSize":"0","lotSize":"1"}"#
        #expect(throws: DecodingError.self) { try JSONDecoder().decode(Instrument.self, from: Data(text.utf8)) }
        let good = #"{"symbol":"X","tickSize":"0.5","lotSize":1}"#
        #expect((try? JSONDecoder().decode(Instrument.self, from: Data(good.utf8)))?.tickSize == price("0.5"))
    }

    @Test func sidesMirrorEachOther() {
        for (side, other, sign) in [(Side.buy, Side.sell, 1), (.sell, .buy, -1)] as [(Side, Side, Int64)] {
            #expect(side.opposite == other && side.sign == sign && side.isKnown)
            #expect(Side(signOf: Quantity(e8: sign)) == side)
            #expect(side.accepts(price("1"), limit: price("1")))
        }
        for side in [Side.unspecified, .UNRECOGNIZED(7)] {
            #expect(side.sign == 0 && !side.isKnown && !side.opposite.isKnown)
            #expect(!side.accepts(price("1"), limit: price("1")))
        }
        #expect(Side.buy.accepts(price("1"), limit: price("2")) && !Side.buy.accepts(price("3"), limit: price("2")))
        #expect(Side.sell.accepts(price("3"), limit: price("2")) && !Side.sell.accepts(price("1"), limit: price("2")))
    }
}
