import Delivery
import Glibc
import Journal
import Testing
import Wire

@testable import AgentKit

/// Real processes over durable wires, killed at any moment: nothing is lost, nothing is taken twice.
@Suite(.serialized) struct DurableChainTests {
    private static let names = ["Sink", "Relay", "Feed"]

    private func expectAllOnce(_ room: DurableRoom) throws {
        let count = room.count
        #expect(try room.inputs(of: "Relay") == (1...count).map { Double($0) })
        #expect(try room.inputs(of: "Sink") == (1...count).map { Double($0 * ($0 + 1) / 2) })
        #expect(try room.inputs(of: "Feed") == (1...count).map { Double($0) })
        for name in Self.names {
            let replay = room.replay(name)
            #expect(replay.code == 0, "\(replay.text)")
        }
    }

    private func isDone(_ room: DurableRoom) -> Bool {
        room.messages("Relay.out>Sink.in", of: "Sink") == UInt64(room.count)
            && room.messages("Relay.back>Feed.answers", of: "Feed") == UInt64(room.count)
    }

    @Test func aChainWithoutIncidents() throws {
        let room = DurableRoom(count: 2_000)
        for name in Self.names { room.start(name) }
        #expect(room.wait { isDone(room) }, "\(room.log("Relay")) \(room.log("Sink")) \(room.log("Feed"))")
        #expect(room.wait { room.counter(.acked, "Relay.out>Sink.in", of: "Relay") == 2_000 })
        for name in Self.names.reversed() { #expect(room.stop(name) == 0) }
        try expectAllOnce(room)
    }

    /// The others go on, and the one without its journal does not begin again in their midst as if nothing had been.
    @Test func aConsumerWhoseJournalAloneIsGoneStops() throws {
        // More than there is time for: where nothing waits to be sent, a lost Hello is not said again before something does.
        let room = DurableRoom(count: 1_000_000)
        for name in Self.names { room.start(name) }
        #expect(room.wait { room.counter(.acked, "Relay.out>Sink.in", of: "Relay") >= 20 })
        room.kill("Sink")
        #expect(rename(room.journal("Sink"), room.journal("Sink") + ".away") == 0)
        room.start("Sink")
        #expect(
            room.wait {
                room.log("Sink").contains(
                    "Relay.out → Sink.in: the consumer's journal ends at message 0, but it had acknowledged up to ")
            }, "\(room.log("Sink"))")
        #expect(room.log("Sink").contains("is new, and there was another one: begun anew"))
        #expect(room.messages("Relay.out>Sink.in", of: "Sink") == 0)
    }

    @Test(arguments: [nil, WireDurability.power]) func killedAtRandom(durability: WireDurability?) throws {
        let room = DurableRoom(count: 6_000)
        room.durability = durability
        for name in Self.names { room.start(name) }
        var random = SystemRandomNumberGenerator()
        var kills = 0
        while !isDone(room), kills < 60 {
            usleep(UInt32.random(in: 2_000...40_000, using: &random))
            let name = Self.names.randomElement(using: &random)!
            room.kill(name)
            if Bool.random(using: &random) { usleep(UInt32.random(in: 0...20_000, using: &random)) }
            room.start(name)
            kills += 1
        }
        #expect(room.wait(240) { isDone(room) }, "\(room.log("Relay").suffix(2_000)) \(room.log("Sink").suffix(2_000))")
        for name in Self.names.reversed() { #expect(room.stop(name) == 0, "\(room.log(name).suffix(1_000))") }
        try expectAllOnce(room)
    }

    /// Whoever stands beside the order path hears what happens on it and does not hold it up, however long it is away.
    @Test func nobodyBesideThePathIsWaitedFor() throws {
        let count = UInt64(DeliveryLimits.standard.window + 1_000)
        let room = DurableRoom(count: Int(count), relay: .venue, sink: .portfolio)
        for name in ["Relay", "Feed"] { room.start(name) }
        #expect(room.wait { room.messages("Relay.back>Feed.answers", of: "Feed") == count }, "\(room.log("Relay"))")
        room.start("Sink")
        #expect(room.wait { room.messages("Relay.out>Sink.in", of: "Sink") == count }, "\(room.log("Sink"))")
        for name in ["Feed", "Relay", "Sink"] { #expect(room.stop(name) == 0, "\(room.log(name))") }
    }

    /// Else one crash after another collects every message since the last regular snapshot, in memory and in each opening
    /// snapshot, until the agent's limit of memory ends it at every recovery.
    @Test func aCrashKeepsOnlyWhatIsNotKnownToBeAcknowledged() throws {
        let count = 3_000
        let room = DurableRoom(count: count)
        for name in Self.names { room.start(name) }
        #expect(room.wait { isDone(room) })
        let wires = ["Relay.out>Sink.in", "Relay.back>Feed.answers"]
        #expect(room.wait { wires.allSatisfy { room.counter(.acked, $0, of: "Relay") == UInt64(count) } })
        room.kill("Relay")
        room.start("Relay")
        #expect(room.wait { room.log("Relay").contains("recovered: replayed") }, "\(room.log("Relay"))")
        var opening: DurableSnapshot?
        #expect(
            try room.wait {
                let found = try JournalReader.snapshot(in: room.journal("Relay"), identity: "Relay")
                opening = try found.map { try DurableSnapshot($0.bytes, journal: "") }
                return opening?.context.incarnation == 2
            })
        let outputs = try #require(opening).outputs
        #expect(outputs.count == 2)
        for output in outputs {
            #expect(output.sequence == UInt64(count))
            #expect(output.frames.count < 2 * Int(DurableLimits.messagesPerAckRecord), "\(output.port)")
        }
        for name in Self.names.reversed() { #expect(room.stop(name) == 0, "\(room.log(name).suffix(1_000))") }
        try expectAllOnce(room)
    }

    @Test func aStateGoesOnAfterACleanStop() throws {
        let room = DurableRoom(count: 500)
        for name in Self.names { room.start(name) }
        #expect(room.wait { isDone(room) })
        for name in Self.names.reversed() { #expect(room.stop(name) == 0) }
        for name in Self.names { room.start(name) }
        #expect(room.wait { isDone(room) })
        for name in Self.names.reversed() { #expect(room.stop(name) == 0) }
        try expectAllOnce(room)
    }

    /// A chain of which one is stopped in its first half: to whom nothing comes any more, it does not come to light that it was
    /// replaced.
    private func suspended(_ name: String) throws -> (room: DurableRoom, zombie: pid_t) {
        for count in [8_000, 16_000, 32_000, 64_000] {
            let room = DurableRoom(count: count)
            for name in Self.names { room.start(name) }
            #expect(room.wait { room.messages("Relay.out>Sink.in", of: "Sink") > 500 })
            let zombie = room.suspend(name)
            if room.messages("Relay.out>Sink.in", of: "Sink") < UInt64(count / 2) { return (room, zombie) }
            Glibc.kill(zombie, SIGKILL)
            waitpid(zombie, nil, 0)
        }
        throw AgentFailure("the chain was through each time before one of it was stopped")
    }

    /// SIGSTOP and no SIGKILL: sender, relay and receiver in turn, each woken up while its replacement runs.
    @Test(arguments: ["Feed", "Relay", "Sink"]) func aStoppedProcessThatWakesUpIsFenced(name: String) throws {
        let (room, zombie) = try suspended(name)
        room.start(name)
        #expect(room.wait { room.log(name).contains("recovered: replayed") }, "\(room.log(name))")
        Glibc.kill(zombie, SIGCONT)
        #expect(room.exitCode(of: zombie) == 1, "it must say that it was replaced")
        #expect(room.wait { isDone(room) }, "\(room.log(name))")
        // By its journal, or by what a consumer says of its successor, whichever it meets first.
        let log = room.log(name)
        #expect(log.contains("incarnation 2 writes this journal") || log.contains("was replaced by 2"), "\(log)")
        for name in Self.names.reversed() { #expect(room.stop(name) == 0) }
        try expectAllOnce(room)
    }
}
