import TestSupport
import Testing
import Wire

@testable import AgentKit

@Suite struct TimerQueueTests {
    private func at(_ count: Int64) -> Instant { Instant(nanoseconds: count) }

    @Test func firesInOrderOnceAndNotBefore() {
        var queue = TimerQueue()
        #expect(queue.next == nil)
        _ = queue.set(TimerID(1), at: at(30))
        _ = queue.set(TimerID(2), at: at(10))
        _ = queue.set(TimerID(3), at: at(10))
        #expect(queue.next == at(10))
        #expect(queue.popDue(at: at(9)) == nil)
        #expect(queue.popDue(at: at(10)) == TimerID(2), "equal deadlines fire in the order they were armed")
        #expect(queue.popDue(at: at(10)) == TimerID(3))
        #expect(queue.popDue(at: at(29)) == nil)
        #expect(queue.popDue(at: at(31)) == TimerID(1))
        #expect(queue.count == 0)
        #expect(queue.popDue(at: at(99)) == nil)
    }

    @Test func movingAndCancellingForgetTheOldDeadline() {
        var queue = TimerQueue()
        _ = queue.set(TimerID(1), at: at(10))
        _ = queue.set(TimerID(1), at: at(20))
        #expect(queue.count == 1)
        #expect(queue.popDue(at: at(15)) == nil)
        #expect(queue.popDue(at: at(20)) == TimerID(1))
        _ = queue.set(TimerID(2), at: at(30))
        queue.cancel(TimerID(2))
        #expect(queue.next == nil)
    }

    @Test func refusesMoreThanTheLimitAndStaysSmallUnderChurn() {
        var queue = TimerQueue()
        for number in 0..<UInt64(Limits.maxTimers) {
            let armed = queue.set(TimerID(number), at: at(Int64(number)))
            #expect(armed)
        }
        let refused = queue.set(TimerID(.max), at: at(0))
        #expect(!refused)
        for round in 0..<Int64(200_000) {
            _ = queue.set(TimerID(7), at: at(1_000_000 + round))
        }
        #expect(queue.count == Limits.maxTimers)
    }

    @Test(arguments: UInt64(1)...20)
    func agreesWithASortedList(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var queue = TimerQueue()
        var model: [UInt64: (at: Int64, order: Int)] = [:]
        for step in 0..<400 {
            let timer = random.next() % 20
            switch random.next() % 4 {
            case 0:
                queue.cancel(TimerID(timer))
                model[timer] = nil
            case 1:
                let now = Int64(random.next() % 100)
                let due = model.filter { $0.value.at <= now }
                    .min { ($0.value.at, $0.value.order) < ($1.value.at, $1.value.order) }
                #expect(queue.popDue(at: at(now)) == due.map { TimerID($0.key) })
                if let due { model[due.key] = nil }
            default:
                let deadline = Int64(random.next() % 100)
                _ = queue.set(TimerID(timer), at: at(deadline))
                model[timer] = (deadline, step)
            }
            #expect(queue.count == model.count)
            #expect(queue.next == model.values.map(\.at).min().map { at($0) })
        }
    }
}
