import Authority
import Delivery
import Foundation
import Glibc
import Journal
import Testing
import Wire

@testable import AgentKit

/// What a durable agent's next incarnation makes of what the last one has left behind.
@Suite struct DurableCrashTests {
    private let none = UnsafeRawBufferPointer(start: nil, count: 0)

    private func secondsAgo(_ seconds: Int64) -> Instant {
        Instant(nanoseconds: Clock.now().nanoseconds - seconds * 1_000_000_000)
    }

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

    @Test func aMessageThatIsSentAgainIsAsOldAsItIs() throws {
        let room = CrashRoom()
        room.consumers = ["Sink": false]
        var shell: AgentShell<Decider>? = try room.start()
        shell?.handle(.start, at: secondsAgo(0), cause: nil)
        let first = try #require(try room.sent().first?.header)
        shell = nil
        let next = try room.start()
        let sink = try TestConsumer("Sink", in: room)
        #expect(try room.step(next, with: sink) { sink.received.count == 1 })
        let header = try #require(sink.received.first?.header)
        #expect(header.incarnation == 2)
        #expect(header.sentAt == first.sentAt)
    }

    /// Killed between the event and the message: what was decided then is not approved from now on.
    @Test func aDecisionThatWasNotWrittenIsApprovedFromItsOwnTimeOn() throws {
        let room = CrashRoom()
        let keys = try KeyringFile(path: "\(room.directory)/keyring", at: Clock.now())
        room.role = .risk
        room.keysDescriptor = dup(keys.readOnlyDescriptor)
        var shell: AgentShell<Decider>? = try room.start()
        let then = secondsAgo(10)
        try #require(shell?.durable).journal.append(InputRecord(.start, at: then), none)
        shell = nil
        room.keysDescriptor = dup(keys.readOnlyDescriptor)
        shell = try room.start()
        let sent = try #require(try room.sent().first)
        #expect(sent.header.sentAt == then)
        let approval = try #require(Approval(sent.decision))
        #expect(approval.expiresAt == then + .seconds(1))
    }

    /// The events behind a snapshot may be later than this boot's clock though the snapshot is not.
    @Test func eventsOfAnotherBootThatAreAheadOfTheClockAreRefused() throws {
        let room = CrashRoom()
        _ = try room.start(Decider.self)
        let found = try #require(try JournalReader.snapshot(in: room.journal, identity: "Risk"))
        var snapshot = try DurableSnapshot(found.bytes, journal: room.journal)
        snapshot.bootID = "another boot"
        let writer = try JournalWriter(directory: room.journal, identity: "Risk", epoch: 1)
        try writer.appendSnapshot(snapshot.encoded())
        let late = InputRecord(.start, at: secondsAgo(-3_600))
        _ = try late.withBytes { (head) throws(JournalError) in try writer.append(.input, head, none) }
        #expect { _ = try room.start(Decider.self) } throws: { "\($0)".contains("ahead of this boot's clock") }
    }

    @Test func whatARewiredConsumerHasNotGotIsSaidAloud() throws {
        let room = CrashRoom()
        room.consumers = ["Old": false, "Sink": false]
        var shell: AgentShell<Decider>? = try room.start()
        for _ in 1...6 { shell?.handle(.start, at: Clock.now(), cause: nil) }
        shell = nil
        room.consumers = ["Sink": false]
        let next = try room.start(Decider.self)
        let lines = try #require(next.durable).forgotten
        #expect(lines.count == 1)
        let line = try #require(lines.first)
        #expect(line.hasPrefix("Risk.out → Old.in: 6 messages (1 to 6) were decided"))
        for number in 1...DurableLimits.namedLosses { #expect(line.contains(#""p\#(number)""#), "\(line)") }
        #expect(line.hasSuffix(", …") && !line.contains(#""p5""#))
        // Said once: from then on it is forgotten.
        #expect(try room.start(Decider.self).durable?.forgotten == [])
        // One that comes back begins with what is said from then on.
        room.consumers = ["Old": false, "Sink": false]
        let last = try room.start(Decider.self)
        last.handle(.start, at: Clock.now(), cause: nil)
        let old = try TestConsumer("Old", in: room)
        #expect(try room.step(last, with: old) { old.received.count == 1 })
        #expect(old.received.first?.decision.proposalID == "p7")
    }

    /// An output that is taken away and comes back does not miss what it gave up then.
    @Test func whatAnOutputThatIsGoneHasNotDeliveredIsSaidAloud() throws {
        let room = CrashRoom()
        room.hasExtra = true
        room.settings = #"{"extra": true}"#
        var shell: AgentShell<Decider>? = try room.start()
        for _ in 1...2 { shell?.handle(.start, at: Clock.now(), cause: nil) }
        // Stopped and not killed: the new settings are for what comes then.
        try shell?.takeSnapshot(isOpening: false)
        shell = nil
        room.hasExtra = false
        room.settings = "{}"
        let lines = try #require(try room.start(Decider.self).durable).forgotten
        #expect(lines.count == 1 && lines[0].hasPrefix("Risk.extra → Sink.in: 2 messages (1 to 2) were decided"))
        #expect(try room.start(Decider.self).durable?.forgotten == [])
        room.hasExtra = true
        room.settings = #"{"extra": true}"#
        let next = try room.start(Decider.self)
        #expect(next.durable?.forgotten == [])
        next.handle(.start, at: Clock.now(), cause: nil)
        let extra = next.outputs.first { $0.name == "extra" }
        #expect(extra?.durable?.sender.last == 3 && extra?.durable?.sender.unacked == 1)
    }

    // MARK: Versions of the snapshot

    private func rewriteSnapshot(
        in room: CrashRoom, _ change: (inout [String: Any]) -> Void
    ) throws {
        let found = try #require(try JournalReader.snapshot(in: room.journal, identity: "Risk"))
        var list = try #require(
            try PropertyListSerialization.propertyList(from: Data(found.bytes), format: nil) as? [String: Any])
        change(&list)
        let bytes = try PropertyListSerialization.data(fromPropertyList: list, format: .binary, options: 0)
        try JournalWriter(directory: room.journal, identity: "Risk", epoch: room.incarnation)
            .appendSnapshot([UInt8](bytes))
    }

    @Test func aSnapshotOfVersionOneIsGoneOnWith() throws {
        let room = CrashRoom()
        room.consumers = ["Sink": false]
        var shell: AgentShell<Decider>? = try room.start()
        for _ in 1...3 { shell?.handle(.start, at: Clock.now(), cause: nil) }
        shell = nil
        _ = try room.start(Decider.self)
        try rewriteSnapshot(in: room) { list in
            list["version"] = 1
            var outputs = list["outputs"] as! [[String: Any]]
            let frames = try! PropertyListDecoder().decode(
                FrameRow.self,
                from: PropertyListSerialization.data(
                    fromPropertyList: outputs[0]["frames"]!, format: .binary, options: 0))
            outputs[0]["frames"] = try! frames.frames().map { Data($0.bytes) }
            var sender = outputs[0]["sender"] as! [String: Any]
            sender["consumers"] = (sender["consumers"] as! [[String: Any]]).map { consumer in
                consumer.filter { $0.key != "port" }
            }
            outputs[0]["sender"] = sender
            list["outputs"] = outputs
        }
        let next = try room.start(Decider.self)
        #expect(next.agent.state.sent == 3)
        let sink = try TestConsumer("Sink", in: room)
        #expect(try room.step(next, with: sink) { sink.received.count == 3 })
        #expect(sink.received.map(\.decision.proposalID) == ["p1", "p2", "p3"])
    }

    @Test func aSnapshotOfALaterVersionIsRefused() throws {
        let room = CrashRoom()
        _ = try room.start(Decider.self)
        try rewriteSnapshot(in: room) { list in
            list["version"] = DurableSnapshot.currentVersion + 1
            list["outputs"] = "something else"
        }
        #expect { _ = try room.start(Decider.self) } throws: {
            "\($0)".contains("a snapshot of version 3, this build reads 1 to 2. Run the build that wrote it")
        }
    }
}
