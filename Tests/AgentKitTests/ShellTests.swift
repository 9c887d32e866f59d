import Glibc
import SwiftProtobuf
import Testing
import Wire
import ZeroMQ

@testable import AgentKit

/// The shell over real sockets: the test plays the producer and the consumers of a relay that runs on its own thread.
@Suite(.serialized) struct ShellTests {
    @Test func waitsForAwaitedConsumersBeforeItReads() throws {
        let room = try ShellRoom(output: .stream)
        defer { room.remove() }
        let relay = room.run(Relay.self)
        var producer = try room.producer()
        #expect(try room.send(room.frame(1), on: &producer))
        // No consumer yet: the relay must not have read, and so not have published into the void.
        var consumer = try room.subscriber(joins: true)
        let first = try room.receive(&consumer)
        #expect(first.header.sequence == 1)
        #expect(first.payload == room.payload(1))
        #expect(relay.stop() == nil)
    }

    @Test("a shell that does not end is a failed test that says so, not one that hangs")
    func joinIsBounded() throws {
        let room = try ShellRoom(output: .stream)
        defer { room.remove() }
        let relay = room.run(Relay.self)
        withKnownIssue {
            #expect(relay.join(within: 0)?.hasSuffix("within 0 s (nobody has asked it to stop)") == true)
        }
        #expect(relay.stop() == nil)
    }

    @Test func keepsTraceAndOriginAndNumbersItsOutput() throws {
        let room = try ShellRoom(output: .queue)
        defer { room.remove() }
        let relay = room.run(Relay.self)
        var consumer = try room.pull()
        var producer = try room.producer()
        for number in 1...3 { #expect(try room.send(room.frame(UInt64(number), originAt: 77), on: &producer)) }
        for number in 1...3 {
            let message = try room.receive(&consumer)
            #expect(message.header.sequence == UInt64(number))
            #expect(message.header.trace == TraceID(UInt64(number) * 10))
            #expect(message.header.originAt == Instant(nanoseconds: 77))
            #expect(message.header.incarnation == 4)
            #expect(message.header.output == OutputID(port: "Relay.out"))
        }
        #expect(relay.stop() == nil)
    }

    @Test func countsLossDuplicatesZombiesAndRubbish() throws {
        let room = try ShellRoom(output: .queue)
        defer { room.remove() }
        let relay = room.run(Relay.self)
        var consumer = try room.pull()
        var producer = try room.producer()
        var cut = try room.frame(9)
        cut.removeLast()
        let frames: [[UInt8]] = [
            try room.frame(1), try room.frame(2), try room.frame(2), try room.frame(6),
            try room.frame(7, incarnation: 1), Array("rubbish".utf8), cut, try room.frame(7, from: "Stranger.out"),
            try room.frame(3, incarnation: 3),
        ]
        for frame in frames { #expect(try room.send(frame, on: &producer)) }
        for sequence in [1, 2, 6, 3] as [UInt64] {
            #expect(try room.receive(&consumer).payload == room.payload(sequence))
        }
        #expect(relay.stop() == nil)
        let page = try room.stats()
        let wire = page.wire(0)
        #expect(wire.name == "Feed.in>Relay.in")
        #expect(wire[.messages] == 4)
        #expect(wire[.lost] == 3 + 2)
        #expect(wire[.duplicates] == 1)
        #expect(wire[.fenced] == 1)
        #expect(page[.malformed] == 3)
        #expect(wire.hop.count == 4)
        #expect(page.wire(1).name == "Relay.out>Sink.in")
        #expect(page.wire(1)[.messages] == 4 + 1, "the last word of `.stop` is one more")
        #expect(page.counters.map(\.name) == ["relayed"])
        #expect(page.counters.map(\.value) == [4])
    }

    @Test func understandsJSON() throws {
        let room = try ShellRoom(output: .queue)
        defer { room.remove() }
        let relay = room.run(Relay.self)
        var consumer = try room.pull()
        var producer = try room.producer()
        #expect(try room.send(room.frame(1, encoding: .json), on: &producer))
        #expect(try room.receive(&consumer).payload == room.payload(1))
        #expect(relay.stop() == nil)
    }

    @Test func keepsWhatAnAbsentConsumerCannotTakeAndStopsReadingAtTheLimit() throws {
        let room = try ShellRoom(output: .queue, awaited: false)
        defer { room.remove() }
        let relay = room.run(Relay.self)
        var producer = try room.producer()
        let count = UInt64(Limits.outboxPauseFrames + 4 * Limits.queueHighWaterMark)
        // The first may wait until the connection is made.
        #expect(try room.send(room.frame(1), on: &producer))
        var sent: UInt64 = 1
        // Back-pressure reaches the producer: sooner or later nobody takes more.
        while sent < count, try room.send(room.frame(sent + 1), on: &producer, waitMs: 300) { sent += 1 }
        #expect(sent < count, "the relay read on without end")
        var consumer = try room.pull()
        for number in 1...sent { #expect(try room.receive(&consumer).header.sequence == number) }
        while sent < count {
            #expect(try room.send(room.frame(sent + 1), on: &producer))
            sent += 1
            #expect(try room.receive(&consumer).header.sequence == sent)
        }
        #expect(relay.stop() == nil)
    }

    /// A halt must not wait behind what it halts.
    @Test func commandsAreHeardWhileOutputsAreFull() throws {
        let room = try ShellRoom(output: .queue, awaited: false, commands: true)
        defer { room.remove() }
        let relay = room.run(Relay.self)
        var producer = try room.producer()
        let count = UInt64(Limits.outboxPauseFrames + 4 * Limits.queueHighWaterMark)
        #expect(try room.send(room.frame(1), on: &producer))
        var sent: UInt64 = 1
        while sent < count, try room.send(room.frame(sent + 1), on: &producer, waitMs: 300) { sent += 1 }
        #expect(sent < count, "the relay read on without end")
        var boss = try room.producer(to: "z")
        #expect(try room.send(room.command(1), on: &boss))
        let stats = try room.stats()
        let wires = (0..<stats.wireCount).map { stats.wire($0) }
        let command = try #require(wires.first { $0.name == "Boss.z>Relay.z" })
        try room.waitUntil { command[.messages] == 1 }
        #expect(relay.stop() == nil)
    }

    @Test func commandsAreReadFirstThenQueuesThenStreams() throws {
        let room = try ShellRoom(output: .queue, commands: true)
        defer { room.remove() }
        #expect(try room.inputsInOrder() == ["z", "in", "a"])
    }

    @Test func aStreamThatWaitsLosesNothingToASlowConsumer() throws {
        let room = try ShellRoom(output: .stream)
        defer { room.remove() }
        let relay = room.run(WaitingRelay.self)
        var consumer = try room.subscriber(joins: true, highWaterMark: 16)
        var producer = try room.producer()
        let count: UInt64 = 40_000
        var received: UInt64 = 0
        // Once connected, a refusal means that something is on the way.
        #expect(try room.send(room.frame(1), on: &producer))
        for number in 2...count {
            while try !room.send(room.frame(number), on: &producer, waitMs: 0) {
                received += 1
                #expect(try room.receive(&consumer).header.sequence == received)
            }
        }
        while received < count {
            received += 1
            #expect(try room.receive(&consumer).header.sequence == received)
        }
        #expect(relay.stop() == nil)
    }

    /// Nothing else wakes this relay: no watchdog, no further message. What waits must go when its consumer comes.
    @Test func aLateConsumerEndsTheWait() throws {
        let room = try ShellRoom(output: .queue, awaited: false)
        defer { room.remove() }
        let relay = room.run(Relay.self)
        var producer = try room.producer()
        #expect(try room.send(room.frame(1), on: &producer))
        try room.waitUntil { try room.stats()[.backlog] == 1 }
        var consumer = try room.pull()
        #expect(try room.receive(&consumer).header.sequence == 1)
        #expect(relay.stop() == nil)
    }

    @Test func whatComesAfterAFailureIsNotSent() throws {
        let room = try ShellRoom(output: .queue)
        defer { room.remove() }
        let relay = room.run(Hasty.self)
        var consumer = try room.pull()
        var producer = try room.producer()
        #expect(try room.send(room.frame(1), on: &producer))
        #expect(try room.receive(&consumer).payload == .signal(Signal.with { $0.name = "before" }))
        #expect(relay.join() == "no further")
        #expect(try room.stats().wire(1)[.messages] == 1)
    }

    @Test func handsOverWhatWaitsBeforeItEnds() throws {
        let room = try ShellRoom(output: .queue, awaited: false)
        defer { room.remove() }
        let relay = room.run(Relay.self)
        var producer = try room.producer()
        for number in 1...100 { #expect(try room.send(room.frame(UInt64(number)), on: &producer)) }
        try room.waitUntil { try room.stats().wire(0)[.messages] == 100 }
        relay.requestStop()
        var consumer = try room.pull()
        for number in 1...100 { #expect(try room.receive(&consumer).header.sequence == UInt64(number)) }
        // The last word of `.stop` comes after everything else.
        #expect(try room.receive(&consumer).payload == .signal(Signal.with { $0.name = "bye" }))
        #expect(relay.join() == nil)
    }

    @Test func anAgentThatFailsSaysWhy() throws {
        let room = try ShellRoom(output: .queue, awaited: false)
        defer { room.remove() }
        let relay = room.run(Picky.self)
        var producer = try room.producer()
        #expect(try room.send(room.frame(13), on: &producer))
        #expect(relay.join() == "13 is too much")
    }
}

/// Sends on what it gets.
private struct Relay: Agent {
    let out: OutputPort
    let relayed: CounterName

    init(_ start: AgentStart) throws {
        out = try start.output("out", .signal)
        relayed = start.counter("relayed")
    }

    mutating func handle(_ event: Event, at now: Instant, _ effects: inout Effects) {
        switch event {
        case .message(let message):
            if case .command = message.payload { return effects.log(.info, "commanded") }
            effects.send(message.payload, on: out)
            effects.count(relayed)
        case .stop: effects.send(.signal(Signal.with { $0.name = "bye" }), on: out)
        case .start, .timer, .turn: break
        }
    }
}

private struct WaitingRelay: Agent {
    let out: OutputPort

    init(_ start: AgentStart) throws {
        out = try start.output("out", .signal, whenFull: .wait)
    }

    mutating func handle(_ event: Event, at now: Instant, _ effects: inout Effects) {
        if case .message(let message) = event { effects.send(message.payload, on: out) }
    }
}

private struct Picky: Agent {
    init(_ start: AgentStart) throws {}

    mutating func handle(_ event: Event, at now: Instant, _ effects: inout Effects) {
        if case .message(let message) = event, case .signal(let signal) = message.payload {
            effects.fail("\(Int(signal.value)) is too much")
        }
    }
}

/// Sends, fails, and sends again in one breath.
private struct Hasty: Agent {
    let out: OutputPort

    init(_ start: AgentStart) throws {
        out = try start.output("out", .signal)
    }

    mutating func handle(_ event: Event, at now: Instant, _ effects: inout Effects) {
        guard case .message = event else { return }
        effects.send(.signal(Signal.with { $0.name = "before" }), on: out)
        effects.fail("no further")
        effects.send(.signal(Signal.with { $0.name = "after" }), on: out)
    }
}
