import Testing
import Wire

@testable import Host

@Suite("CPU of an agent") struct CPUMeterTests {
    /// A process that uses half a core, as the kernel counts it: whole ticks of 10 ms.
    private static func ticks(at milliseconds: Int64) -> UInt64 { UInt64(milliseconds / 20) }

    private static func look(_ meter: inout CPUMeter, at milliseconds: Int64, ticks: UInt64? = nil) -> Double {
        meter.percent(
            of: 7, since: .zero, ticks: ticks ?? Self.ticks(at: milliseconds), ticksPerSecond: 100,
            at: Instant(nanoseconds: milliseconds * 1_000_000))
    }

    @Test("looks that follow each other at once, or in any rhythm, all see half a core")
    func rhythms() {
        for pauses: [Int64] in [[1], [5], [9, 1], [50], [499, 1], [1_000, 5, 5], [3_600_000, 20, 20]] {
            var meter = CPUMeter()
            var now: Int64 = 10_000
            for number in 0..<300 {
                let percent = Self.look(&meter, at: now)
                #expect(abs(percent - 50) <= 2.1, "\(percent) at look \(number) of \(pauses)")
                now += pauses[number % pauses.count]
            }
        }
    }

    @Test func aChangeIsSeenWithinASecond() {
        var meter = CPUMeter()
        _ = Self.look(&meter, at: 60_000)
        // From now on it uses nothing.
        let used = Self.ticks(at: 60_000)
        #expect(Self.look(&meter, at: 60_600, ticks: used) == 0)
        #expect(Self.look(&meter, at: 60_610, ticks: used) == 0)
    }

    @Test func aYoungProcessIsJudgedByItsWholeLife() {
        var meter = CPUMeter()
        #expect(Self.look(&meter, at: 0) == 0)
        #expect(Self.look(&meter, at: 40) == 50)
        #expect(Self.look(&meter, at: 60) == 50)
    }

    @Test("another process, also one with the same number, begins anew")
    func another() {
        var meter = CPUMeter()
        _ = Self.look(&meter, at: 100_000)
        let percent = meter.percent(
            of: 7, since: Instant(nanoseconds: 100_000_000_000), ticks: 10, ticksPerSecond: 100,
            at: Instant(nanoseconds: 101_000_000_000))
        #expect(percent == 10)
    }
}
