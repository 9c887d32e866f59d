import Glibc
import Journal
import Testing
import Wire

@testable import AgentKit

/// What a durable agent's next incarnation makes of what the last one has left behind.
@Suite struct DurableCrashTests {
    /// A journal at its limit of bytes, whose next snapshot takes more than one segment.
    @Test func aFullJournalIsGoneOnWith() throws {
        let room = CrashRoom()
        room.settings = #"{"ballast": 20000}"#
        room.journalBytes = (16 << 10, 128 << 10)
        var shell: AgentShell<Decider>? = try room.start()
        shell?.handle(.start, at: Clock.now(), cause: nil)
        for _ in 0..<40 { try shell?.takeSnapshot(isOpening: false) }
        #expect(try JournalReader.segments(in: room.journal).first != 1, "the limit was reached")
        for restart in 1...5 {
            shell = nil
            shell = try room.start()
            #expect(shell?.agent.state.sent == restart)
            shell?.handle(.start, at: Clock.now(), cause: nil)
        }
    }
}
