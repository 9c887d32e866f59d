import Testing
import Wire

@testable import Supervision

@Suite struct IdleDetectorTests {
    private var quiet: FleetActivity {
        var feed = FleetActivity.Agent(name: "Feed", state: .running, isSource: true)
        feed.isExhausted = true
        return FleetActivity(
            agents: [feed, FleetActivity.Agent(name: "Sink", state: .running, isSource: false)],
            wires: [.init(name: "Feed.out>Sink.in", mayDrop: false, sent: 10, received: 10, lost: 0)])
    }

    private func at(_ milliseconds: Int64) -> Instant { .zero + .milliseconds(milliseconds) }

    @Test func needsTwoEqualLooks() {
        var detector = IdleDetector()
        #expect(detector.observe(quiet, at: at(0)) == .working)
        var moved = quiet
        moved.agents[1].handled += 1
        #expect(detector.observe(moved, at: at(10)) == .working)
        #expect(detector.observe(moved, at: at(20)) == .idle(droppedAtEnd: [:]))
    }

    /// Each of these alone keeps a run from ending, however long it lasts.
    @Test(arguments: 0..<5)
    func anyWorkKeepsItGoing(reason: Int) {
        var activity = quiet
        switch reason {
        case 0: activity.agents[0].isExhausted = false
        case 1: activity.agents[1].isBusy = true
        case 2: activity.agents[1].timers = 1
        case 3: activity.agents[1].backlog = 1
        default: activity.agents[1].state = .backoff
        }
        var detector = IdleDetector()
        for time in stride(from: Int64(0), to: 60_000, by: 50) {
            #expect(detector.observe(activity, at: at(time)) == .working)
        }
    }

    @Test func missingOnAStreamIsADropAfterAGrace() {
        var activity = quiet
        activity.wires = [.init(name: "a", mayDrop: true, sent: 10, received: 6, lost: 1)]
        var detector = IdleDetector()
        #expect(detector.observe(activity, at: at(0)) == .working)
        #expect(detector.observe(activity, at: at(499)) == .working)
        #expect(detector.observe(activity, at: at(500)) == .idle(droppedAtEnd: ["a": 3]))
    }

    @Test func missingOnAQueueIsAnError() {
        var activity = quiet
        activity.wires[0].received = 8
        var detector = IdleDetector()
        #expect(detector.observe(activity, at: at(0)) == .working)
        #expect(detector.observe(activity, at: at(4_999)) == .working)
        guard case .stuck(let reason) = detector.observe(activity, at: at(5_000)) else {
            Issue.record("2 messages are missing")
            return
        }
        #expect(reason.hasPrefix("2 messages on Feed.out>Sink.in were sent and never received"))
    }

    @Test func aFailedAgentEndsIt() {
        var activity = quiet
        activity.agents[1].state = .failed
        var detector = IdleDetector()
        guard case .stuck(let reason) = detector.observe(activity, at: at(0)) else {
            Issue.record("Sink has failed")
            return
        }
        #expect(reason.hasPrefix("Sink has failed"))
    }

    @Test func withoutASourceItSaysSo() {
        var activity = quiet
        activity.agents[0].isSource = false
        var detector = IdleDetector()
        guard case .stuck(let reason) = detector.observe(activity, at: at(0)) else {
            Issue.record("nothing would ever end it")
            return
        }
        #expect(reason.contains("role ingest"))
    }

    @Test func aStoppedAgentDoesNotHoldTheOthers() {
        var activity = quiet
        activity.agents[1].state = .stopped
        activity.agents[1].timers = 3
        var detector = IdleDetector()
        _ = detector.observe(activity, at: at(0))
        #expect(detector.observe(activity, at: at(10)) == .idle(droppedAtEnd: [:]))
    }
}
