import Delivery
import Glibc
import Journal
import Testing
import Wire

@testable import AgentKit

/// What a durable agent does while a consumer stays away that it never waits for.
@Suite struct DurableBacklogTests {
    /// Places of the inputs of `Decider`.
    private let answers = 0
    private let commands = 1
    private let work = 2

    private func room() -> CrashRoom {
        let room = CrashRoom()
        room.consumers = ["Alpha": true]
        room.limits = DeliveryLimits(window: 2, reach: 4, maxUnacked: 8)
        return room
    }

    private func listening() throws -> CrashRoom {
        let room = room()
        room.inputs = ["answers": true, "work": false, "commands": false]
        room.settings = #"{"listens": true}"#
        return room
    }

    /// Rounds enough for whatever the agent would read to be read.
    private func idle(_ shell: AgentShell<Decider>) throws {
        for _ in 0..<20 { _ = try shell.round(timeout: .milliseconds(1)) }
    }

    @Test func newWorkWaitsFirstThenAnswersAndCommandsNever() throws {
        let room = try listening()
        let shell = try room.start(Decider.self)
        let (work, answers) = (try TestSource("work", in: room), try TestSource("answers", in: room))
        let commands = try TestSource("commands", in: room)
        shell.handle(.start, at: Clock.now(), cause: nil)
        for _ in 1...3 {
            try work.send(1)
            let heard = shell.agent.state.heard[self.work]
            #expect(try room.step(shell) { shell.agent.state.heard[self.work] == heard + 1 })
        }
        // At its reach: no new work, but answers.
        try work.send(5)
        try answers.send(3)
        #expect(try room.step(shell) { shell.agent.state.heard[self.answers] == 3 })
        try idle(shell)
        #expect(shell.agent.state.heard == [3, 0, 3])
        #expect(shell.isFull && !shell.isSaturated)
        // As much as is kept: neither, but commands.
        try answers.send(3)
        #expect(try room.step(shell) { shell.isSaturated })
        try commands.send(2)
        #expect(try room.step(shell) { shell.agent.state.heard[self.commands] == 2 })
        try idle(shell)
        #expect(shell.agent.state.heard == [4, 2, 3])
        // It is back: all that was decided arrives, and all that waited is read.
        let alpha = try TestConsumer("Alpha", in: room)
        #expect(try room.step(shell, with: alpha) { shell.agent.state.heard == [6, 2, 8] })
        #expect(try room.step(shell, with: alpha) { alpha.received.count == 17 })
        #expect(alpha.received.map(\.decision.proposalID) == (1...17).map { "p\($0)" })
        #expect(try room.step(shell, with: alpha) { !shell.isFull && shell.toldBacklog == .small })
    }

    @Test func aTimerGoesOnUntilAsMuchIsKeptAsCanBe() throws {
        let room = room()
        room.settings = #"{"ticks": true}"#
        var shell: AgentShell<Decider>? = try room.start()
        shell?.handle(.start, at: Clock.now(), cause: nil)
        #expect(try room.step(shell!) { shell!.agent.state.sent == 8 })
        try idle(shell!)
        #expect(shell?.agent.state.sent == 8)
        #expect(shell?.idleTimeout() != .zero, "a timer that may not be fired keeps nobody awake")
        // Killed with one more decided on, and again: what is in the journal is gone on with, nothing is begun.
        try #require(shell?.durable).journal.append(
            InputRecord(.timer, at: Clock.now(), timer: 1), UnsafeRawBufferPointer(start: nil, count: 0))
        for _ in 1...2 {
            shell = nil
            shell = try room.start()
            try idle(shell!)
            #expect(shell?.agent.state.sent == 9)
        }
        let alpha = try TestConsumer("Alpha", in: room)
        #expect(try room.step(shell!, with: alpha) { alpha.received.count > 100 })
        #expect(alpha.received.map(\.decision.proposalID) == alpha.received.indices.map { "p\($0 + 1)" })
        #expect(shell?.outputs[0].durable?.keptBytes ?? 0 < 16 * 1_024)
    }

    /// Large messages reach the limit in bytes first; however full, two snapshots fit into the journal.
    @Test func whatIsKeptIsBoundedInBytes() throws {
        let room = room()
        room.limits = .standard
        room.journalBytes = (16 << 10, 128 << 10)
        room.settings = #"{"ticks": true}"#
        var shell: AgentShell<Decider>? = try room.start()
        shell?.handle(.start, at: Clock.now(), cause: nil)
        for _ in 1...3 {
            #expect(try room.step(shell!) { shell!.isSaturated })
            let kept = try #require(shell?.outputs[0].durable?.keptBytes)
            #expect(kept >= 32 << 10 && kept < 33 << 10)
            shell = nil
            shell = try room.start()
        }
        let sent = try #require(shell?.agent.state.sent)
        let alpha = try TestConsumer("Alpha", in: room)
        #expect(try room.step(shell!, with: alpha) { alpha.received.count > sent + 100 })
        #expect(alpha.received.map(\.decision.proposalID) == alpha.received.indices.map { "p\($0 + 1)" })
    }
}
