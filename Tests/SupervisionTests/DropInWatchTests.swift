import Testing
import Wire

@testable import Supervision

@Suite struct DropInWatchTests {
    static let settle = Nanoseconds.milliseconds(500)
    private func at(_ ms: Int64) -> Instant { Instant(nanoseconds: ms * 1_000_000) }

    @Test func nothingHappensByItself() {
        var watch = DropInWatch(settle: Self.settle)
        #expect(watch.deadline == nil && watch.take(at: at(1_000_000)).isEmpty)
    }

    @Test func settlesWhenLeftAloneAndIsTakenOnce() {
        var watch = DropInWatch(settle: Self.settle)
        watch.note(.touched(entry: "A"), at: at(0))
        watch.note(.touched(entry: "A"), at: at(400))
        #expect(watch.deadline == at(900) && watch.take(at: at(899)).isEmpty)
        #expect(watch.take(at: at(900)).entries == ["A"])
        #expect(watch.deadline == nil && watch.take(at: at(2_000)).isEmpty)
    }

    @Test func aSlowCopyIsHeldUntilItIsClosedAndHoldsUpNobody() {
        var watch = DropInWatch(settle: Self.settle)
        watch.note(.touched(entry: "Slow"), at: at(0))
        watch.note(.written(entry: "Slow", file: "main"), at: at(10))
        watch.note(.touched(entry: "Quick"), at: at(20))
        #expect(watch.take(at: at(520)).entries == ["Quick"])
        // Ten seconds between two writes.
        #expect(watch.take(at: at(10_000)).isEmpty)
        watch.note(.written(entry: "Slow", file: "main"), at: at(10_010))
        watch.note(.closed(entry: "Slow", file: "main"), at: at(20_000))
        #expect(watch.deadline == at(20_500))
        #expect(watch.take(at: at(20_500)).entries == ["Slow"])
    }

    @Test func severalFilesOfOneFolderAreAllAwaited() {
        var watch = DropInWatch(settle: Self.settle)
        watch.note(.written(entry: "A", file: "agent.json"), at: at(0))
        watch.note(.written(entry: "A", file: "main"), at: at(1))
        watch.note(.closed(entry: "A", file: "agent.json"), at: at(2))
        #expect(watch.take(at: at(5_000)).isEmpty)
        watch.note(.closed(entry: "A", file: "main"), at: at(5_000))
        #expect(watch.take(at: at(5_500)).entries == ["A"])
    }

    @Test func whatNeverComesToRestIsTakenAsItIs() {
        let hold = DropInWatch.longestHold.count / 1_000_000
        var busy = DropInWatch(settle: Self.settle)
        var open = busy
        open.note(.written(entry: "A", file: "x"), at: at(0))
        var taken = 0
        for time in stride(from: Int64(0), through: hold, by: 100) {
            busy.note(.touched(entry: "A"), at: at(time))
            if !busy.take(at: at(time)).isEmpty { taken += 1 }
        }
        #expect(taken == 1, "once in the longest hold")
        #expect(open.deadline == at(hold) && open.take(at: at(hold)).entries == ["A"])
    }

    @Test func lostChangesBecomeOneLookAtEverything() {
        var watch = DropInWatch(settle: Self.settle)
        watch.note(.written(entry: "A", file: "x"), at: at(0))
        watch.note(.overflow, at: at(10))
        watch.note(.overflow, at: at(100))
        let settled = watch.take(at: at(600))
        #expect(settled.isEverything && watch.deadline == nil, "the close of A/x may be among what was lost")
    }

    @Test func isBounded() {
        var watch = DropInWatch(settle: Self.settle)
        for number in 0...DropInWatch.maxEntries { watch.note(.touched(entry: "E\(number)"), at: at(0)) }
        #expect(watch.take(at: at(500)) == DropInWatch.Settled(isEverything: true))
        for number in 0..<1_000 { watch.note(.written(entry: "A", file: "\(number)"), at: at(1_000)) }
        for number in 0..<1_000 { watch.note(.closed(entry: "A", file: "\(number)"), at: at(1_001)) }
        #expect(watch.take(at: at(1_501)).entries == ["A"])
    }

    @Test func aReloadHasSeenEverything() {
        var watch = DropInWatch(settle: Self.settle)
        watch.note(.touched(entry: "A"), at: at(0))
        watch.note(.overflow, at: at(0))
        watch.forgetAll()
        #expect(watch.deadline == nil)
    }

    @Test func afterALossAbsencesCountOnlyAfterALongRest() {
        let rest = DropInWatch.regrowthRest.count / 1_000_000
        var watch = DropInWatch(settle: Self.settle)
        watch.note(.touched(entry: "A"), at: at(0))
        watch.note(.lost, at: at(100))
        #expect(watch.isRegrowing)
        #expect(watch.take(at: at(500)).entries == ["A"] && watch.deadline == nil, "nothing is to be seen there")
        watch.note(.back, at: at(10_000))
        #expect(watch.take(at: at(10_500)) == DropInWatch.Settled(isEverything: true) && watch.isRegrowing)
        // Copied back one by one: each is looked at, and the rest begins anew.
        watch.note(.touched(entry: "B"), at: at(30_000))
        #expect(watch.take(at: at(30_500)).entries == ["B"] && watch.isRegrowing)
        #expect(watch.deadline == at(30_000 + rest))
        #expect(watch.take(at: at(29_999 + rest)).isEmpty)
        #expect(watch.take(at: at(30_000 + rest)) == DropInWatch.Settled(isEverything: true))
        #expect(!watch.isRegrowing && watch.deadline == nil)
    }

    @Test func anOperatorEndsTheRest() {
        var watch = DropInWatch(settle: Self.settle)
        watch.note(.back, at: at(0))
        watch.endRegrowth()
        #expect(!watch.isRegrowing && watch.deadline == at(500))
    }

    @Test func anotherDirectoryInItsPlaceIsTakenOverAsAWhole() {
        var watch = DropInWatch(settle: Self.settle)
        watch.note(.swapped, at: at(0))
        watch.note(.overflow, at: at(100))
        #expect(watch.isRegrowing, "it may still be filled")
        #expect(watch.take(at: at(600)) == DropInWatch.Settled(isEverything: true, isSwapped: true))
        watch.note(.overflow, at: at(700))
        #expect(watch.take(at: at(1_200)) == DropInWatch.Settled(isEverything: true))
    }
}
