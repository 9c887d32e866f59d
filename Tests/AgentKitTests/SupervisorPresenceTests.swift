import Testing
import Wire

@testable import AgentKit

@Suite struct SupervisorPresenceTests {
    private func at(_ ms: Int64) -> Instant { Instant(nanoseconds: ms * 1_000_000) }

    @Test("looks again at growing, bounded distances, and from the first one after a welcome")
    func backOff() {
        var presence = SupervisorPresence(deadMan: nil, at: at(0))
        #expect(presence.retryAt == at(0))
        var now = at(0)
        var pauses: [Nanoseconds] = []
        for _ in 0..<10 {
            presence.lost(at: now)
            pauses.append(presence.retryAt! - now)
            now = presence.retryAt!
        }
        #expect(pauses.first == Limits.linkRetryFirst)
        #expect(pauses.last == Limits.linkRetryLongest)
        #expect(zip(pauses, pauses.dropFirst()).allSatisfy { $0 <= $1 })
        presence.connected()
        #expect(presence.retryAt == nil)
        presence.welcomed()
        presence.lost(at: now)
        #expect(presence.retryAt == now + Limits.linkRetryFirst)
    }

    @Test("the dead man's time runs from the first loss, and only a welcome ends it")
    func deadMan() {
        var presence = SupervisorPresence(deadMan: .seconds(10), at: at(0))
        #expect(presence.deadline == at(10_000), "a supervisor that was never there is away from the beginning")
        presence.connected()
        presence.welcomed()
        #expect(presence.deadline == nil && presence.nextWake == nil)
        presence.lost(at: at(1_000))
        presence.connected()
        presence.lost(at: at(5_000))
        #expect(presence.deadline == at(11_000))
        #expect(!presence.isOver(at: at(10_999)))
        #expect(presence.isOver(at: at(11_000)))
        presence.connected()
        presence.welcomed()
        #expect(!presence.isOver(at: at(60_000)))
    }

    @Test("a loss that was announced as an upgrade is given time even where a loss is the end")
    func upgrade() {
        var presence = SupervisorPresence(deadMan: .zero, at: at(0))
        presence.connected()
        presence.welcomed()
        presence.announcedUpgrade()
        presence.lost(at: at(1_000))
        #expect(!presence.isOver(at: at(2_000)))
        presence.connected()
        presence.welcomed()
        presence.lost(at: at(3_000))
        #expect(presence.isOver(at: at(3_000)))
    }

    @Test("a newcomer has time for its first contact even where a loss is the end")
    func firstContact() {
        let presence = SupervisorPresence(deadMan: .zero, at: at(0))
        #expect(!presence.isOver(at: at(9_999)))
        #expect(presence.isOver(at: at(10_000)))
    }

    @Test("without a dead man's time it only looks again")
    func patient() {
        var presence = SupervisorPresence(deadMan: nil, at: at(0))
        presence.lost(at: at(0))
        #expect(presence.deadline == nil && !presence.isOver(at: at(1 << 40)))
        #expect(presence.nextWake == presence.retryAt)
    }
}
