import Glibc
import Testing
import Wire
import ZeroMQ

@testable import AgentKit

/// Durability `power`: nobody hears of an event, and nobody of what it led to, before both are on the disk.
@Suite(.serialized) struct PowerTests {
    /// How long silence is listened for: only a fault needs it to be long.
    private static let silenceMs: Int64 = 100

    @Test func nothingLeavesBeforeTheFlush() throws {
        let power = try PowerRoom()
        defer { power.remove() }
        let shell = try power.begin()
        power.gate.close()
        let before = power.gate.begun
        try power.send(1)
        try power.room.waitUntil { power.gate.begun > before }
        // The flush is under way, and held up: whatever had left before it would be here.
        #expect(try power.frame(&power.kept, waitMs: Self.silenceMs) == nil, "a durable output")
        #expect(try power.frame(&power.loose, waitMs: 0) == nil, "a queue output")
        #expect(try power.frame(&power.ticks, waitMs: 0) == nil, "a stream output")
        #expect(try power.saysNothingOfItsInput(), "an acknowledgement")
        power.gate.open()
        #expect(try power.value(&power.kept) == 1)
        #expect(try power.value(&power.loose) == 1)
        #expect(try power.value(&power.ticks) == 1)
        while power.acked < 1 { try power.hearPosition() }
        #expect(shell.stop() == nil)
    }

    /// What comes while the disk is busy shares the next flush.
    @Test func manyEventsShareAFlush() throws {
        let count = 200
        let power = try PowerRoom()
        defer { power.remove() }
        let shell = try power.begin()
        power.gate.close()
        let before = power.gate.begun
        try power.send(1)
        try power.room.waitUntil { power.gate.begun > before }
        try power.send(count)
        power.gate.open()
        for number in 1...count + 1 {
            #expect(try power.value(&power.kept) == Double(number))
            #expect(try power.value(&power.loose) == Double(number))
            #expect(try power.value(&power.ticks) == Double(number))
        }
        while power.acked < count + 1 { try power.hearPosition() }
        #expect(power.gate.begun - before < count / 2, "\(power.gate.begun - before) flushes of \(count + 1) events")
        #expect(shell.stop() == nil)
    }

    /// A disk that does not take it: nothing leaves, the agent ends and says why, and its successor says it all.
    @Test(arguments: [ENOSPC, EIO]) func aFailedFlushFailsClosed(code: Int32) throws {
        let power = try PowerRoom()
        defer { power.remove() }
        let shell = try power.begin()
        power.gate.fail(code)
        try power.send(1)
        let reason = try #require(shell.join())
        #expect(reason.contains("fdatasync") && reason.contains(String(cString: strerror(code))), "\(reason)")
        #expect(try power.frame(&power.kept, waitMs: Self.silenceMs) == nil)
        #expect(try power.frame(&power.loose, waitMs: 0) == nil)
        #expect(try power.frame(&power.ticks, waitMs: 0) == nil)
        #expect(try power.saysNothingOfItsInput())
        power.gate.fail(0)
        let successor = try power.start()
        try power.keepUp()
        #expect(try power.value(&power.kept) == 1)
        #expect(successor.stop() == nil)
    }
}
