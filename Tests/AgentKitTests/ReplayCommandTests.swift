import Foundation
import Glibc
import Journal
import SwiftProtobuf
import Testing
import Wire

@testable import AgentKit

/// `agentctl replay AGENT` on what real processes have written: the same is the same, and of what is not, both are printed.
@Suite(.serialized) struct ReplayCommandTests {
    private static let count = 200

    /// A chain that has run to its end.
    private func finishedRoom() throws -> DurableRoom {
        let room = DurableRoom(count: Self.count)
        for name in ["Sink", "Relay", "Feed"] { room.start(name) }
        #expect(
            room.wait {
                room.messages("Relay.out>Sink.in", of: "Sink") == UInt64(Self.count)
                    && room.messages("Relay.back>Feed.answers", of: "Feed") == UInt64(Self.count)
            }, "\(room.log("Relay"))")
        for name in ["Feed", "Relay", "Sink"] { #expect(room.stop(name) == 0) }
        return room
    }

    @Test func theSameExecutableSaysTheSame() throws {
        let room = try finishedRoom()
        for name in ["Feed", "Relay", "Sink"] {
            let outcome = room.agentctl(["replay", name])
            #expect(outcome.code == 0 && outcome.text.contains("messages are the same"), "\(outcome.text)")
        }
        let outcome = room.agentctl(["replay", "Nobody"])
        #expect(outcome.code != 0 && outcome.text.contains("Only an agent with a durable port"), "\(outcome.text)")
    }

    @Test func anExecutableOfAnotherOpinionIsCaught() throws {
        let room = try finishedRoom()
        let rebuilt = "\(room.directory)/durable-chain-rebuilt"
        // By a process of its own: while this one writes a program, any fork of another test keeps it busy.
        #expect(room.run(["/bin/cp", DurableRoom.program, rebuilt]).code == 0)
        let link = "\(room.directory)/agents/Relay/program"
        unlink(link)
        #expect(symlink(rebuilt, link) == 0)
        let outcome = room.agentctl(["replay", "Relay"])
        try expectBoth(outcome, journaled: "1.0", replayed: "2.0")
    }

    /// A decision in the journal that the agent would not have taken: every checksum is good, the message is not its own.
    @Test func aForgedDecisionIsCaught() throws {
        let room = try finishedRoom()
        let forged = "\(room.directory)/forged"
        try forge(room.journal("Relay"), into: forged)
        let outcome = room.run([DurableRoom.program, "--replay", forged])
        try expectBoth(outcome, journaled: "777", replayed: "1.0")
    }

    private func expectBoth(_ outcome: (code: Int32?, text: String), journaled: String, replayed: String) throws {
        #expect(outcome.code == 1, "\(outcome.text)")
        let lines = outcome.text.split(separator: "\n")
        let first = try #require(lines.first { $0.contains("journaled: out #1") }, "\(outcome.text)")
        let second = try #require(lines.first { $0.contains("replayed:  out #1") }, "\(outcome.text)")
        #expect(first.contains(journaled) && second.contains(replayed), "\(outcome.text)")
        #expect(outcome.text.contains("the agent sends another message than the journal has"))
    }

    /// Copies a journal with another value in the first message that was sent.
    private func forge(_ journal: String, into directory: String) throws {
        var reader = JournalReader(directory: journal, identity: "Relay")
        let writer = try JournalWriter(directory: directory, identity: "Relay", epoch: 1)
        var isForged = false
        while let record = try reader.next() {
            var bytes = record.payload
            if record.type == .sentFrame, !isForged {
                isForged = true
                let header = try bytes.withUnsafeBytes { try Header(frame: $0) }
                var frame = try Payload.signal(
                    .with {
                        $0.name = "chain"
                        $0.value = 777
                    }
                ).encoded()
                try frame.seal(header)
                bytes = frame.bytes
            }
            try bytes.withUnsafeBytes { _ = try writer.append(record.type, $0) }
        }
        #expect(isForged)
        try writer.close()
    }
}
