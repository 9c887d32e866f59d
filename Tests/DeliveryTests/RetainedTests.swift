import Testing

@testable import Delivery

@Suite struct RetainedTests {
    @Test func keepsWhatWasNotRemoved() {
        var kept = Retained<UInt64>(first: 5)
        for number in UInt64(5)..<5_000 {
            kept.append(number * 10, number: number)
            if number > 100 { kept.removeAll(before: number - 90) }
            #expect(kept.next == number + 1)
            #expect(kept[kept.first] == kept.first * 10 && kept[number] == number * 10)
        }
        #expect(kept.count == 91)
        kept.removeAll(before: 9_000)
        #expect(kept.isEmpty && kept.first == 9_000 && kept.next == 9_000)
    }
}
