import Testing
import Wire

@testable import Supervision

/// What decides when a configuration is about to change: who is asked, what is taken, whose turn it is.
@Suite struct ConfigurationChangeTests {
    private func at(_ seconds: Int64) -> Instant { Instant.zero + .seconds(seconds) }

    // MARK: Asking

    @Test func asksFewAtOnceAndEverybodyOnce() {
        let names = (1...10).map { "A\($0)" }
        var inquiry = SettingsInquiry(names, at: at(1))
        #expect(inquiry.deadline == at(1) + SettingsInquiry.wholeLimit)
        var asked: [String] = []
        while let next = inquiry.take() { asked.append(next) }
        #expect(asked == Array(names.prefix(SettingsInquiry.atOnce)))
        inquiry.answer("A2", ["no such key"])
        // A second word, and one of somebody who was not asked, count for nothing.
        inquiry.answer("A2", [])
        inquiry.answer("A9", ["I was not asked"])
        let freed = [inquiry.take(), inquiry.take()]
        #expect(freed == ["A5", nil] && !inquiry.isOver)
        for name in ["A1", "A3", "A4", "A5"] { inquiry.answer(name, []) }
        while let next = inquiry.take() { inquiry.answer(next, next == "A7" ? ["x", "y"] : []) }
        #expect(inquiry.isOver)
        #expect(inquiry.refusals.map(\.agent) == ["A2", "A7"])
        #expect(inquiry.refusals.map(\.problems) == [["no such key"], ["x", "y"]])
    }

    @Test func nobodyToAskIsOverAtOnce() {
        var inquiry = SettingsInquiry([], at: at(0))
        let next = inquiry.take()
        #expect(inquiry.isOver && next == nil && inquiry.refusals.isEmpty)
    }

    @Test func whoeverHasNotAnsweredWhenTheTimeIsUpCountsAsWrong() {
        var inquiry = SettingsInquiry((1...6).map { "A\($0)" }, at: at(0))
        while inquiry.take() != nil {}
        inquiry.answer("A1", [])
        inquiry.expire()
        let next = inquiry.take()
        #expect(inquiry.isOver && next == nil)
        #expect(inquiry.refusals.map(\.agent) == ["A2", "A3", "A4", "A5", "A6"])
        #expect(inquiry.refusals[0].problems[0].contains("120 s"))
        inquiry.answer("A2", [])
        #expect(inquiry.refusals.count == 5)
    }

    @Test func onlyThoseThatWouldRunAnewAreAsked() throws {
        let fleet = Fleet(
            try FleetSpec(agents: [
                .plain("same"), .plain("policy"), .plain("other"), .plain("off") { $0.enabled = false },
                .plain("faulty") { $0.isRunnable = false }, .plain("broken"), .plain("gone"),
            ]))
        let next = try FleetSpec(agents: [
            .plain("same"), .plain("policy") { $0.policy = .transient }, .plain("other") { $0.launchFingerprint = 2 },
            .plain("off"), .plain("faulty"), .plain("broken") { $0.isRunnable = false }, .plain("new"),
        ])
        #expect(fleet.untried(in: next) == ["other", "off", "faulty", "new"])
    }

    // MARK: Selecting

    @Test func takesAllWhenNobodyObjects() {
        var selection = DropInSelection(["A", "B"])
        #expect(selection.candidate == ["A", "B"])
        selection.accept()
        #expect(selection.candidate == nil && selection.taken == ["A", "B"] && selection.reasons.isEmpty)
        #expect(DropInSelection([]).candidate == nil)
    }

    @Test func findsWhoHarmsTheWhole() {
        var selection = DropInSelection(["A", "B", "C", "D", "E"])
        while let candidate = selection.candidate {
            if candidate.contains("D") { selection.refuse("D is twice there") } else { selection.accept() }
        }
        #expect(selection.taken == ["A", "B", "C", "E"] && selection.reasons == ["D": "D is twice there"])
    }

    @Test func leavesOutWhoeverIsRefusedByItsOwnAgent() {
        var selection = DropInSelection(["A", "B", "C"])
        selection.refuse(because: ["B": "B: no such key"])
        #expect(selection.candidate == ["A", "C"])
        selection.accept()
        #expect(selection.taken == ["A", "C"] && selection.reasons == ["B": "B: no such key"])
    }

    /// A newcomer's wires can make an agent refuse that has not changed itself.
    @Test func aNewcomerIsToBlameWhenAnotherRefusesBecauseOfIt() {
        var selection = DropInSelection(["A", "B"])
        while let candidate = selection.candidate {
            if candidate.contains("B") { selection.refuse(because: ["Z": "Z: no port"]) } else { selection.accept() }
        }
        #expect(selection.taken == ["A"] && selection.reasons == ["B": "Z: no port"])
    }

    // MARK: Turns

    private typealias Turns = ConfigurationTurns<Int>

    /// `reload 1 2`, `look A B`, or `nothing`.
    private func begin(_ turns: inout Turns) -> String {
        switch turns.begin() {
        case .reload(let askers): (["reload"] + askers.map(String.init)).joined(separator: " ")
        case .look(let settled): (["look"] + settled.entries.sorted()).joined(separator: " ")
        case nil: "nothing"
        }
    }

    private func ask(_ turns: inout Turns, _ asker: Int?) -> Bool { turns.reload(for: asker) }

    @Test func oneAtATimeAndThoseWhoWaitAreServedTogether() {
        var turns = Turns()
        #expect(begin(&turns) == "nothing")
        #expect(ask(&turns, 1))
        #expect(begin(&turns) == "reload 1")
        #expect(begin(&turns) == "nothing", "one is under way")
        turns.look(at: .init(entries: ["A"]))
        for asker in [2, nil, 3] { #expect(ask(&turns, asker)) }
        turns.look(at: .init(entries: ["B"]))
        turns.end()
        #expect(begin(&turns) == "reload 2 3", "operators go first")
        turns.end()
        #expect(begin(&turns) == "look A B")
        turns.end()
        #expect(begin(&turns) == "nothing")
    }

    @Test func aSignalWaitsOnceHoweverOftenItComes() {
        var turns = Turns()
        for _ in 0..<1_000 { #expect(ask(&turns, nil)) }
        #expect(begin(&turns) == "reload")
        turns.end()
        #expect(begin(&turns) == "nothing")
        for asker in 0..<Turns.maxWaiting { #expect(ask(&turns, asker)) }
        #expect(!ask(&turns, -1))
    }

    @Test func whatIsAbandonedIsAnsweredAndWhatTheWatchFoundIsKept() {
        var turns = Turns()
        turns.look(at: .init(entries: ["A"]))
        #expect(begin(&turns) == "look A")
        #expect(ask(&turns, 1))
        turns.look(at: .init(entries: ["B"]))
        let first = turns.abandon()
        #expect(first == [1])
        #expect(begin(&turns) == "look A B")
        turns.end()
        #expect(ask(&turns, 2))
        #expect(begin(&turns) == "reload 2")
        #expect(ask(&turns, 3))
        let second = turns.abandon()
        #expect(second == [2, 3])
        #expect(begin(&turns) == "nothing")
    }
}
