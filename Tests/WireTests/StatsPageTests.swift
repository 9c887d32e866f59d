import Testing

@testable import Wire

@Suite struct StatsPageTests {
    @Test func rowsDoNotOverlap() {
        let page = Page(wires: 3)
        #expect(page.view.isValid)
        for index in 0..<3 {
            let wire = page.view.wire(index)
            for word in StatsPage.WireWord.allCases { wire[word] = UInt64(1_000 * index + word.rawValue) }
            wire.name = "Agent\(index).port>Other.port"
            wire.hop.record(Nanoseconds(Int64(index) + 1))
            wire.age.record(Nanoseconds(.max))
        }
        for index in 0..<StatsPage.maxCounters {
            page.view.nameCounter(index, "counter \(index)")
            page.view.add(UInt64(index), toCounter: index)
        }
        for index in 0..<3 {
            let wire = page.view.wire(index)
            for word in StatsPage.WireWord.allCases { #expect(wire[word] == UInt64(1_000 * index + word.rawValue)) }
            #expect(wire.name == "Agent\(index).port>Other.port")
            #expect(wire.hop.count == 1)
            #expect(wire.hop.max == Nanoseconds(Int64(index) + 1))
        }
        #expect(page.view.counters.count == StatsPage.maxCounters)
        #expect(page.view.counters.allSatisfy { $0.name == "counter \($0.value)" })
        #expect(page.view[.wireCount] == 3)
    }

    @Test func aFileThatIsNoPageIsNotRead() {
        let page = Page(wires: 1)
        page.view[.wireCount] = 2
        #expect(!page.view.isValid, "it claims more wires than it has room for")
        page.view[.wireCount] = .max
        #expect(!page.view.isValid)
        page.view[.wireCount] = 1
        page.view[.magic] = 0
        #expect(!page.view.isValid)
    }

    @Test func quantilesAreWithinOneThirtySecond() {
        let page = Page(wires: 1)
        let histogram = page.view.wire(0).hop
        #expect(histogram.quantile(0.5) == .zero)
        var values: [Int64] = []
        var state: UInt64 = 7
        for _ in 0..<50_000 {
            state = state &* 6_364_136_223_846_793_005 &+ 1
            let value = Int64(state >> 33) % 5_000_000
            values.append(value)
            histogram.record(Nanoseconds(value))
        }
        values.sort()
        for quantile in [0.01, 0.5, 0.9, 0.99, 0.999, 1] {
            let exact = values[max(0, Int((quantile * Double(values.count)).rounded(.up)) - 1)]
            let found = histogram.quantile(quantile).count
            #expect(found >= exact)
            #expect(Double(found) <= Double(exact) * (1 + 1.0 / 32) + 1)
        }
        #expect(histogram.max.count == values.last)
    }

    /// Buckets tile the whole range: each value lies in the bucket whose edges hold it.
    @Test func bucketsHaveNoGaps() {
        var last = -1
        for exponent in 0..<LatencyHistogram.maxExponent {
            for offset in [-1, 0, 1] as [Int64] {
                let value = (Int64(1) << Int64(exponent)) + offset
                guard value >= 0 else { continue }
                let bucket = LatencyHistogram.bucket(UInt64(value))
                #expect(bucket >= last || offset < 0)
                last = max(last, bucket)
                #expect(LatencyHistogram.upperEdge(of: bucket) >= value)
                if bucket > 0 { #expect(LatencyHistogram.upperEdge(of: bucket - 1) < value) }
            }
        }
        #expect(LatencyHistogram.bucket(.max) == LatencyHistogram.bucketCount - 1)
    }
}

/// Memory for a page; freed with it.
private final class Page {
    let view: StatsPageView
    private let memory: UnsafeMutableRawBufferPointer

    init(wires: Int) {
        memory = .allocate(byteCount: StatsPage.byteCount(wires: wires), alignment: 8)
        memory.initializeMemory(as: UInt8.self, repeating: 0)
        view = StatsPageView(memory)
        view[.magic] = StatsPage.magic
        view[.wireCount] = UInt64(wires)
    }

    deinit { memory.deallocate() }
}
