import Market
import TestSupport
import Testing

@Suite("Fixed-point arithmetic") struct FixedPointTests {
    /// Sums, differences, multiples and products against 128-bit integers: right, or a thrown overflow, never else.
    @Test(arguments: [1, 2, 3] as [UInt64]) func agreesWithWideIntegers(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        var overflows = 0
        for _ in 0..<100_000 {
            let (a, b) = (random.awkward(), random.awkward())
            let (x, y) = (Notional(e8: a), Notional(e8: b))
            let checks: [(Int128, Int64?)] = [
                (Int128(a) + Int128(b), (try? x + y)?.e8),
                (Int128(a) - Int128(b), (try? x - y)?.e8),
                (Int128(a) * Int128(b), (try? x * b)?.e8),
                (-Int128(a), (try? x.negated())?.e8),
                (Int128(a).magnitude > Int128.max ? 0 : Int128(Int128(a).magnitude), (try? x.magnitude())?.e8),
            ]
            for (wide, narrow) in checks {
                guard Int64(exactly: wide) == narrow else {
                    Issue.record("\(a), \(b): \(wide) but \(String(describing: narrow))")
                    return
                }
                if narrow == nil { overflows += 1 }
            }
        }
        #expect(overflows > 1_000)
    }

    /// Rounding division stated independently: floor by Euclid, everything else from floor and the exact remainder.
    private func oracle(_ a: Int64, _ b: Int64, _ c: Int64, _ rounding: Rounding) -> Int64? {
        guard c != 0 else { return nil }
        var (n, d) = (Int128(a) * Int128(b), Int128(c))
        if d < 0 { (n, d) = (-n, -d) }
        var floor = n / d
        if n % d < 0 { floor -= 1 }
        let rest = n - floor * d  // 0 ..< d
        let up = rest == 0 ? floor : floor + 1
        let result: Int128 =
            switch rounding {
            case .floor: floor
            case .ceiling: up
            case .towardZero: n < 0 ? up : floor
            case .awayFromZero: n < 0 ? floor : up
            case .nearestEven: rest * 2 < d ? floor : rest * 2 > d ? up : floor % 2 == 0 ? floor : up
            }
        return Int64(exactly: result)
    }

    @Test(arguments: Rounding.allCases) func scalesWithEachRounding(rounding: Rounding) {
        var random = SplitMix64(seed: 7)
        for round in 0..<100_000 {
            let (a, b, c) = (random.awkward(), random.awkward(), random.awkward())
            let got = try? Price(e8: a).scaled(by: b, over: c, rounding).e8
            guard got == oracle(a, b, c, rounding) else {
                Issue.record("round \(round): \(a) × \(b) ÷ \(c) \(rounding): \(String(describing: got))")
                return
            }
            let product = try? Price(e8: a).times(Quantity(e8: b), rounding).e8
            #expect(product == oracle(a, b, e8Scale, rounding))
        }
    }

    /// Every tie and both signs, small enough to read.
    @Test func roundsTies() throws {
        let table: [(Int64, [Int64])] = [  // thirds and halves of n: floor, ceiling, toward, away, even
            (5, [2, 3, 2, 3, 2]), (7, [3, 4, 3, 4, 4]), (-5, [-3, -2, -2, -3, -2]), (-7, [-4, -3, -3, -4, -4]),
            (4, [2, 2, 2, 2, 2]), (0, [0, 0, 0, 0, 0]), (-1, [-1, 0, 0, -1, 0]), (1, [0, 1, 0, 1, 0]),
        ]
        for (value, expected) in table {
            for (rounding, want) in zip(Rounding.allCases, expected) {
                #expect(try Price(e8: value).scaled(by: 1, over: 2, rounding).e8 == want, "\(value)/2 \(rounding)")
            }
        }
    }

    @Test func multipliesPriceByQuantity() throws {
        #expect(try price("61800.2") * quantity("0.001") == money("61.8002"))
        #expect(try price("0.00000001") * quantity("0.5") == .zero)  // tie to even
        #expect(try price("0.00000003") * quantity("0.5") == Notional(e8: 2))
        #expect(try price("61800.2").times(quantity("-2")) == money("-123600.4"))
        #expect(throws: ArithmeticOverflow.self) { try Price.max * quantity("2") }
        #expect(try money("123600.4").divided(by: quantity("2")) == price("61800.2"))
        #expect(try money("100").divided(by: price("3")) == quantity("33.33333333"))
        #expect(throws: ArithmeticOverflow.self) { try money("1").divided(by: Quantity.zero) }
        #expect(try money("1000").times(Factor("0.0005")!, .awayFromZero) == money("0.5"))
    }

    @Test func measuresBasisPoints() throws {
        let reference = price("100")
        let limit = Factor(whole: 50)!  // 0.5 %
        #expect(price("100.5").isWithin(basisPoints: limit, of: reference))
        #expect(price("99.5").isWithin(basisPoints: limit, of: reference))
        #expect(!price("100.50000001").isWithin(basisPoints: limit, of: reference))
        #expect(!price("99.49999999").isWithin(basisPoints: limit, of: reference))
        #expect(!price("1").isWithin(basisPoints: limit, of: .zero))
        #expect(!price("-1").isWithin(basisPoints: limit, of: price("-1")))
        #expect(!reference.isWithin(basisPoints: Factor(e8: -1), of: reference))
        #expect(Price.max.isWithin(basisPoints: .max, of: .ulp) == false)
        #expect(Price(e8: .min).isWithin(basisPoints: .max, of: .max))
        #expect(try reference.moved(basisPoints: limit) == price("100.5"))
        #expect(try reference.moved(basisPoints: limit.negated()) == price("99.5"))
        #expect(price("101").basisPoints(from: reference) == 100)
        #expect(reference.basisPoints(from: .zero) == nil)
    }

    @Test func convertsFromDoubleOrRefuses() throws {
        #expect(try Price(61800.2) == price("61800.2"))
        #expect(try Price(0.1 + 0.2) == price("0.3"))
        #expect(try Price(-0.000000014) == Price(e8: -1))
        #expect(try Price(1.999999999, rounded: .towardZero) == price("1.99999999"))
        #expect(throws: DoubleConversionError.notANumber) { try Price(.nan) }
        #expect(throws: DoubleConversionError.infinite) { try Price(.infinity) }
        #expect(throws: DoubleConversionError.infinite) { try Price(-.infinity) }
        #expect(throws: DoubleConversionError.outOfRange) { try Price(92_233_720_368.6) }
        #expect(throws: DoubleConversionError.outOfRange) { try Price(-1e300) }
        #expect(throws: DoubleConversionError.notANumber) { try quantity("1").scaled(by: .nan) }
        #expect(throws: DoubleConversionError.outOfRange) { try Quantity.max.scaled(by: 2.0) }
        #expect(try quantity("1").scaled(by: 0.333333333333) == quantity("0.33333333"))
        #expect(try Quantity.max.scaled(by: 1.0) == .max)
    }

    @Test func roundsToMultiples() throws {
        #expect(try price("100.17").rounded(toMultipleOf: price("0.1"), .floor) == price("100.1"))
        #expect(try price("-100.17").rounded(toMultipleOf: price("0.1"), .floor) == price("-100.2"))
        #expect(throws: ArithmeticOverflow.self) { try price("1").rounded(toMultipleOf: .zero, .floor) }
        #expect(throws: ArithmeticOverflow.self) { try Price.max.rounded(toMultipleOf: price("7"), .ceiling) }
        #expect(price("1.2").isMultiple(of: price("0.1")) && !price("1.25").isMultiple(of: price("0.1")))
    }
}
