import Delivery
import Glibc
import Journal
import Testing
import Wire
import ZeroMQ

@testable import AgentKit

/// What the shell of a durable agent does with what should not come, and with what comes at the wrong moment.
@Suite(.serialized) struct DurableShellTests {
    /// Rubbish and lies on the acks wire: none of it makes the agent forget what its consumer has not taken.
    @Test func nothingOnTheAcksWireButItsConsumersWordFreesAMessage() throws {
        let power = try PowerRoom()
        defer { power.remove() }
        let shell = try power.begin()
        try power.send(3)
        for number in 1...3 { #expect(try power.value(&power.kept) == Double(number)) }
        func report(
            _ output: String = "Crier.kept", _ consumer: String = "Keeper.in", epoch: UInt64 = 1,
            senderEpoch: UInt64 = 1
        ) -> [UInt8] {
            DeliveryControl.ack(
                DeliveryReport(
                    output: OutputID(port: output), consumer: ConsumerID(port: consumer), epoch: epoch,
                    senderEpoch: senderEpoch, applied: 3)
            ).frame(sentAt: Clock.now())
        }
        let good = report()
        var attempts: [[UInt8]] = [
            [], Array("rubbish".utf8), [UInt8](repeating: 0xFF, count: 88), Array(good.dropLast()), good + [0],
            // Another output, another consumer, a consumer that was replaced, a message, and a Hello.
            report("Crier.loose"), report("Stranger.out"), report("Crier.kept", "Stranger.in"),
            report(epoch: 0), try power.frame(9),
            // Words that nobody says.
            report(senderEpoch: .max), report(epoch: .max),
            DeliveryControl.hello(
                DeliveryHello(
                    output: OutputID(port: "Crier.kept"), consumer: ConsumerID(port: "Keeper.in"), epoch: 9, kept: 9,
                    knows: 9, begins: 9, floor: 9, sent: 9)
            ).frame(sentAt: Clock.now()),
        ]
        // Each byte of the header, but for the name of the wire, the incarnation and the time of sending.
        for byte in 0..<Header.byteCount where !(8..<24).contains(byte) && !(48..<56).contains(byte) {
            var changed = good
            changed[byte] ^= 0xFF
            attempts.append(changed)
        }
        for attempt in attempts { try power.sayRaw(attempt) }
        try power.askAgain()
        for number in 1...3 { #expect(try power.value(&power.kept) == Double(number), "and it is all still there") }
        #expect(shell.stop() == nil)
    }

    /// Whoever replaces an agent claims its journal first; without that, word of a successor is forged. An agent that had no
    /// journal to begin from can't know: it ends, rather than go on unheard.
    @Test func aSuccessorIsBelievedOnlyByWhoHasNoPast() throws {
        let power = try PowerRoom()
        defer { power.remove() }
        let word = DeliveryControl.ack(
            DeliveryReport(
                output: OutputID(port: "Crier.kept"), consumer: ConsumerID(port: "Keeper.in"), epoch: 1,
                senderEpoch: 99,
                applied: 3)
        ).frame(sentAt: Clock.now())
        #expect(try power.begin().stop() == nil)
        let shell = try power.start()
        try power.keepUp()
        #expect(try power.value(&power.kept) == -1, "of the first end")
        try power.sayRaw(word)
        try power.askAgain()
        #expect(try power.value(&power.kept) == -1, "it goes on")
        #expect(shell.stop() == nil)

        let fresh = try PowerRoom()
        defer { fresh.remove() }
        let ending = try fresh.begin()
        try fresh.sayRaw(word)
        let reason = try #require(ending.join())
        #expect(
            reason.contains("was replaced by 99") && reason.contains("folder in the run directory is gone"), "\(reason)"
        )
    }

    /// A message that can't be read is neither passed over nor asked for for ever: the agent ends and names it.
    @Test func aMessageThatCannotBeReadEndsTheAgent() throws {
        let power = try PowerRoom()
        defer { power.remove() }
        let shell = try power.begin()
        try power.send(1)
        #expect(try power.value(&power.kept) == 1)
        var bad = try power.frame(2)
        for index in Header.byteCount..<bad.count { bad[index] = 0xFF }
        for _ in 1..<DeliveryLimits.standard.maxUnreadable {
            try power.sendRaw(bad)
            try power.awaitAsking()
        }
        try power.sendRaw(bad)
        let reason = try #require(shell.join())
        #expect(reason.contains("Feed.out → Crier.in: message 2 came 3 times and can't be read"), "\(reason)")
        #expect(reason.contains("rebuild both"), "and what to do")
    }

    /// With durability `power` a Hello may come behind messages that are not on the disk yet. The position written for it
    /// counts them, and the flush that it brings lets them go without another event.
    @Test func aHelloBehindMessagesOfTheSameRound() throws {
        let power = try PowerRoom()
        defer { power.remove() }
        let shell = try power.begin()
        power.gate.close()
        let before = power.gate.begun
        try power.send(1)
        try power.room.waitUntil { power.gate.begun > before }
        try power.send(2)
        try power.replaceFeed()
        #expect(try power.frame(&power.kept, waitMs: 100) == nil)
        power.gate.open()
        for number in 1...3 { #expect(try power.value(&power.kept) == Double(number)) }
        while !power.isOpen || power.acked < 3 { try power.hearPosition() }
        #expect(shell.stop() == nil)

        var reader = JournalReader(directory: power.journal, identity: "Crier")
        var (taken, positions): (UInt64, Int) = (0, 0)
        while let record = try reader.next() {
            if record.type == .input, let input = InputRecord(record.payload), input.isPosition {
                let header = try record.payload[InputRecord.byteCount...].withUnsafeBytes { try Header(frame: $0) }
                taken = max(taken, header.sequence)
            } else if record.type == .position {
                positions += 1
                #expect(PositionRecord(record.payload)?.applied == taken, "it must not say less than what precedes it")
            }
        }
        #expect(taken == 3 && positions == 2)
    }

    /// What an agent says at its end, and what a killed one had decided on and not said, has its number in the next start.
    @Test func aLastWordIsNumberedForTheNextIncarnation() throws {
        let power = try PowerRoom()
        defer { power.remove() }
        #expect(try power.begin().stop() == nil)
        // As a kill leaves it between an event and what it led to.
        do {
            let writer = try JournalWriter(
                directory: power.journal, identity: "Crier", epoch: 2,
                options: JournalOptions(durability: .power, retention: .untilTrimmed))
            let frame = try power.frame(1)
            try InputRecord(.message, at: Clock.now(), port: 0, isPosition: true).withBytes { head in
                _ = try frame.withUnsafeBytes { try writer.append(.input, head, $0) }
            }
        }
        power.skipIncarnation()
        for round in 1...2 {
            let shell = try power.start()
            try power.keepUp()
            #expect(try power.value(&power.kept) == -1, "of the first end")
            #expect(try power.value(&power.kept) == 1, "decided on by the killed one")
            if round == 2 { #expect(try power.value(&power.kept) == -1, "of the second end") }
            #expect(shell.stop() == nil)
        }
    }
}
