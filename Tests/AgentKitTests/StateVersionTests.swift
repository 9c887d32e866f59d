import Glibc
import Testing
import Wire

@testable import AgentKit

/// Snapshots of another build's state, and of a state that is too large.
@Suite struct StateVersionTests {
    /// What `Decider` becomes in a later build.
    private struct Later: DurableAgent {
        struct State: Codable, Sendable { var decisions = 0 }
        var state = State()
        static var stateVersion: Int { 2 }

        static func migrate(_ bytes: [UInt8], from version: Int) throws -> State {
            State(decisions: try StateCoding.decode(Decider.State.self, from: bytes).sent)
        }

        init(_ start: AgentStart) throws { _ = try start.output("out", .riskDecision) }
        mutating func handle(_ event: Event, at now: Instant, _ effects: inout Effects) {}
    }

    /// The same fields, which would decode, and mean something else.
    private struct Other: DurableAgent {
        var state = Decider.State()
        static var stateVersion: Int { 3 }

        init(_ start: AgentStart) throws { _ = try start.output("out", .riskDecision) }
        mutating func handle(_ event: Event, at now: Instant, _ effects: inout Effects) {}
    }

    /// Keeps more than a snapshot takes, for as long as it is told to.
    private struct Hoarder: DurableAgent {
        struct State: Codable, Sendable { var hoard = "" }
        var state = State()

        init(_ start: AgentStart) throws { _ = try start.output("out", .riskDecision) }
        mutating func handle(_ event: Event, at now: Instant, _ effects: inout Effects) {
            state.hoard = ""
            if case .start = event { state.hoard = String(repeating: "x", count: StateCoding.maxBytes) }
        }
    }

    @Test func aStateOfAnotherVersionIsRefusedOrMigrated() throws {
        let room = CrashRoom()
        var shell: AgentShell<Decider>? = try room.start()
        shell?.handle(.start, at: Clock.now(), cause: nil)
        try shell?.takeSnapshot(isOpening: false)
        shell = nil
        #expect { _ = try room.start(Other.self) } throws: { error in
            ["state version 1", "has 3", "no migration"].allSatisfy { "\(error)".contains($0) }
        }
        #expect(try room.start(Later.self).agent.state.decisions == 1)
        // It is of the new version from then on.
        #expect(throws: AgentFailure.self) { try room.start(Decider.self) }
        #expect(try room.start(Later.self).agent.state.decisions == 1)
    }

    @Test func eventsOfAnotherVersionAreNotReplayed() throws {
        let room = CrashRoom()
        var shell: AgentShell<Decider>? = try room.start()
        shell?.handle(.start, at: Clock.now(), cause: nil)
        shell = nil
        #expect { _ = try room.start(Later.self) } throws: { "\($0)".contains("stop it cleanly, then upgrade") }
        #expect(try room.start(Decider.self).agent.state.sent == 1)
    }

    @Test func aStateThatIsTooLargeForNowEndsNobody() throws {
        let room = CrashRoom()
        var shell: AgentShell<Hoarder>? = try room.start(Hoarder.self)
        shell?.handle(.start, at: Clock.now(), cause: nil)
        #expect(throws: StateTooLarge.self) { try shell?.takeSnapshot(isOpening: false) }
        try shell?.takeDueSnapshot()
        #expect(shell?.failure == nil)
        shell?.handle(.stop, at: Clock.now(), cause: nil)
        try shell?.takeDueSnapshot()
        shell = nil
        #expect(try room.start(Hoarder.self).agent.state.hoard.isEmpty)
    }

    @Test func aJournalThatIsGoneIsToldToTheAgent() throws {
        struct Asking: DurableAgent {
            struct State: Codable, Sendable { var isAnew = false }
            var state = State()

            init(_ start: AgentStart) throws {
                _ = try start.output("out", .riskDecision)
                state.isAnew = start.isBegunAnew
            }
            mutating func handle(_ event: Event, at now: Instant, _ effects: inout Effects) {}
        }
        let room = CrashRoom()
        for _ in 1...2 { #expect(try !room.start(Asking.self).agent.state.isAnew) }
        try #require(rename(room.journal, "\(room.directory)/away") == 0)
        // It goes on from there: begun anew once, and known to be so until the state says otherwise.
        for _ in 1...2 { #expect(try room.start(Asking.self).agent.state.isAnew) }
    }
}
