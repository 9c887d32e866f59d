import Testing
import Wire

@testable import AgentKit

@Suite("Durable agents: bounds")
struct DurableLimitsTests {
    /// A start takes about 6.4 bytes for each that is kept (measured), which must fit beside what the agent else takes.
    @Test(arguments: [32 << 20, 64 << 20, 256 << 20, 1 << 30, 1 << 40])
    func whatIsKeptFitsIntoTheMemoryLimit(_ limit: Int) {
        let kept = DurableLimits.keptBytes(journal: 256 << 20, memory: limit)
        #expect(kept <= 64 << 20 && kept >= 1 << 20)
        #expect(limit < 64 << 20 || kept * 13 / 2 + DurableLimits.restingMemory <= limit)
    }

    @Test func theJournalBoundsWhatIsKeptToo() {
        #expect(DurableLimits.keptBytes(journal: 256 << 20, memory: nil) == 64 << 20)
        #expect(DurableLimits.keptBytes(journal: 128 << 10, memory: 1 << 30) == 32 << 10)
        #expect(DurableLimits.keptBytes(journal: 256 << 20, memory: 256 << 20) == 28 << 20)
    }

    @Test func theLimitIsReadFromTheEnvironment() throws {
        let wiring = Wiring(agent: "A", ports: [:]).json
        let limited = try AgentEnvironment(
            ["QP_AGENT": "A", "QP_WIRING": wiring, "QP_MEMORY_LIMIT": "268435456"], arguments: [])
        #expect(limited.memoryLimit == 256 << 20)
        #expect(try AgentEnvironment(["QP_AGENT": "A", "QP_WIRING": wiring], arguments: []).memoryLimit == nil)
    }
}
