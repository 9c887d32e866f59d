import Foundation
import Market
import TestSupport
import Testing

@Suite("Decimal text") struct DecimalTextTests {
    @Test func readsAndPrintsAllValues() throws {
        var random = SplitMix64(seed: 11)
        for _ in 0..<100_000 {
            let value = random.awkward()
            let text = DecimalText.text(value)
            let back = try DecimalText.parse(text.utf8.span)
            guard back == value else {
                Issue.record("\(value) printed as \(text) and read as \(back)")
                return
            }
        }
        #expect(Price(e8: .min).description == "-92233720368.54775808")
        #expect(Price.max.description == "92233720368.54775807")
        #expect(price("61800.20").description == "61800.2")
        #expect(price("-0.00000001").description == "-0.00000001")
        #expect(price("5.0").description == "5")
    }

    @Test(arguments: [
        ("", DecimalError.expectedDigit(offset: 0)), ("-", .expectedDigit(offset: 1)),
        (".5", .expectedDigit(offset: 0)),
        ("5.", .expectedDigit(offset: 2)), ("+5", .expectedDigit(offset: 0)), ("1e5", .trailingBytes(offset: 1)),
        (" 1", .expectedDigit(offset: 0)), ("1 ", .trailingBytes(offset: 1)), ("1,000", .trailingBytes(offset: 1)),
        ("1.2.3", .trailingBytes(offset: 3)), ("0.000000001", .tooManyDecimals(offset: 10)),
        ("1.000000000", .tooManyDecimals(offset: 10)), ("NaN", .expectedDigit(offset: 0)),
        ("92233720368.54775808", .outOfRange), ("-92233720368.54775809", .outOfRange), ("100000000000", .outOfRange),
        ("99999999999.99999999", .outOfRange), ("184467440737095516160", .outOfRange),
        ("--1", .expectedDigit(offset: 1)),
        ("１", .expectedDigit(offset: 0)),
    ])
    func refuses(text: String, error: DecimalError) {
        #expect(throws: error) { try Price.parse(text) }
        #expect(Price(text) == nil)
    }

    @Test func takesWhatIsExact() throws {
        #expect(try Price.parse("000000000000000000000000000061800.2") == price("61800.2"))
        #expect(try Price.parse("-0") == .zero)
        #expect(try Price.parse("0.00000001") == .ulp)
        #expect(try Price.parse("92233720368.54775807") == .max)
        #expect(try Price.parse("-92233720368.54775808").e8 == .min)
    }

    @Test func scansAtAPosition() throws {
        let bytes = Array(#"["61800.20","2.909"]"#.utf8)
        var position = 2
        #expect(try DecimalText.scan(bytes.span, &position) == 6_180_020_000_000)
        #expect(position == 10)
        position = 13
        #expect(try DecimalText.scan(bytes.span, &position) == 290_900_000)
        position = bytes.count
        #expect(throws: DecimalError.expectedDigit(offset: bytes.count)) {
            try DecimalText.scan(bytes.span, &position)
        }
    }

    /// Any bytes: a value that prints back to the same number, or an error. Never a trap.
    @Test func survivesAnyBytes() {
        var random = SplitMix64(seed: 13)
        let alphabet = Array("0123456789.-+eE \u{0}\u{ff}".utf8)
        for _ in 0..<100_000 {
            let bytes = (0..<Int.random(in: 0...24, using: &random)).map { _ in alphabet.randomElement(using: &random)!
            }
            guard let value = try? DecimalText.parse(bytes.span) else { continue }
            let text = String(decoding: bytes, as: UTF8.self)
            #expect(Foundation.Decimal(string: text) == Foundation.Decimal(string: DecimalText.text(value)), "\(text)")
        }
    }

    @Test func decodesSettings() throws {
        struct Settings: Codable, Equatable {
            var price: Price
            var fee: Factor
        }
        let decoder = JSONDecoder()
        let both = try decoder.decode(Settings.self, from: Data(#"{"price":"61800.2","fee":0.0005}"#.utf8))
        #expect(both == Settings(price: price("61800.2"), fee: Factor("0.0005")!))
        #expect(try decoder.decode(Settings.self, from: JSONEncoder().encode(both)) == both)
        for bad in [#"{"price":"1.123456789","fee":1}"#, #"{"price":1e300,"fee":1}"#, #"{"price":null,"fee":1}"#] {
            #expect(throws: DecodingError.self) { try decoder.decode(Settings.self, from: Data(bad.utf8)) }
        }
    }
}
