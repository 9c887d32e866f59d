import Testing
import Wire

@testable import Delivery

/// Zombies, lost journals, consumers that come and go.
@Suite struct DurableFenceTests {
    private typealias Ends = DurableWireTests

    @Test func aReplacedSenderIsNotHeard() throws {
        var (sender, receiver) = (Ends.sender(), Ends.receiver())
        try Ends.settle(&sender, &receiver)
        try Ends.say(1, &sender)
        try Ends.settle(&sender, &receiver)
        var successor = Ends.sender(2, sender.state)
        try Ends.settle(&successor, &receiver)
        #expect(receiver.receive(epoch: 1, sequence: 2) == .fenced)
        sender.tick(at: Ends.start + .seconds(9))
        let old = DeliveryHello(
            output: sender.id, consumer: ConsumerID(port: Ends.port), epoch: 1, kept: 1, knows: 0, begins: 1, floor: 0,
            sent: 9)
        #expect(try receiver.receive(old) == .fenced)
        // Nor after the receiver's own restart.
        var restarted = Ends.receiver(2, receiver.state)
        #expect(restarted.receive(epoch: 1, sequence: 2) == .fenced)
    }

    @Test func aReplacedSenderThatHearsOfItStops() throws {
        var sender = Ends.sender(1)
        let report = DeliveryReport(
            output: sender.id, consumer: ConsumerID(port: Ends.port), epoch: 1, senderEpoch: 2, applied: 0)
        #expect(throws: DeliveryError.replaced(output: Ends.output, epoch: 1, by: 2)) {
            try sender.receive(.ack(report), at: Ends.start)
        }
    }

    @Test func aReplacedReceiversAcksCountForNothing() throws {
        var (sender, receiver) = (Ends.sender(), Ends.receiver(1))
        try Ends.settle(&sender, &receiver)
        var successor = Ends.receiver(2, receiver.state)
        try Ends.settle(&sender, &successor)
        try Ends.say(2, &sender)
        sender.didSend(upTo: 2, to: 0)
        let report = DeliveryReport(
            output: sender.id, consumer: ConsumerID(port: Ends.port), epoch: 1, senderEpoch: 1, applied: 2)
        #expect(try sender.receive(.ack(report), at: Ends.start) == .fenced)
        #expect(sender.firstKept == 1)
    }

    @Test func messagesOfASenderThatSaidNoHelloAreNotTaken() {
        var receiver = Ends.receiver(1, .init(senderEpoch: 1, applied: 3))
        if let owed = receiver.owed(isIdle: false) { receiver.didSend(owed) }
        #expect(receiver.receive(epoch: 1, sequence: 4) == .take)
        #expect(receiver.receive(epoch: 2, sequence: 5) == .unannounced)
        #expect(receiver.owed(isIdle: false) != nil)
    }

    /// The sender's journal lost its end: other messages under the same numbers would pass for duplicates.
    @Test func aSenderThatForgotWhatWasAppliedStops() throws {
        var receiver = Ends.receiver(1, .init(senderEpoch: 1, applied: 10))
        let consumer = DurableSender.ConsumerState(
            id: ConsumerID(port: Ends.port), floor: 0, acked: 7, epoch: 1, knows: 1)
        var sender = Ends.sender(2, .init(epoch: 1, last: 7, consumers: [consumer]))
        try Ends.say(5, &sender)
        let hello = try #require(sender.hello(for: 0))
        let lost = DeliveryError.senderLostRecords(
            output: Ends.output, consumer: Ends.port, journaled: 7, applied: 10)
        #expect(try receiver.receive(hello) == .refused(lost))
        #expect(receiver.receive(epoch: 2, sequence: 11) == .unannounced)
        let answer = try #require(receiver.owed(isIdle: false))
        #expect(throws: lost) { try sender.receive(answer, at: Ends.start) }
        // Another sender, whose journal is whole, is heard.
        var repaired = Ends.sender(3, .init(epoch: 2, last: 10, consumers: [consumer]))
        try Ends.say(1, &repaired)
        #expect(try Ends.settle(&repaired, &receiver) == [11])
    }

    /// The end of the sender's journal is lost, and its successors number other messages alike, one after the other, before
    /// any of them reaches the receiver.
    @Test(arguments: [1, 2, 5]) func numbersGivenTwiceAreToldApart(successors: UInt64) throws {
        var (sender, receiver) = (Ends.sender(), Ends.receiver())
        try Ends.settle(&sender, &receiver)
        var state = sender.state
        try Ends.say(3, &sender)
        try Ends.settle(&sender, &receiver)
        // All three are lost.
        for epoch in 2...(1 + successors) {
            var successor = Ends.sender(epoch, state)
            try Ends.say(2, &successor)
            state = successor.state
        }
        var last = Ends.sender(2 + successors, state)
        let lost = DeliveryError.senderLostRecords(output: Ends.output, consumer: Ends.port, journaled: 0, applied: 3)
        #expect(throws: lost) { try Ends.settle(&last, &receiver) }
        // A whole receiver of the same history is heard.
        var blank = Ends.receiver(2, .init(senderEpoch: 1, applied: 0))
        var again = Ends.sender(3 + successors, state)
        #expect(try Ends.settle(&again, &blank) == Array(1...2 * successors))
    }

    @Test func theLineageIsForgottenWhenAllHaveHeard() throws {
        var (sender, receiver) = (Ends.sender(), Ends.receiver())
        for epoch in UInt64(2)...1_000 {
            try Ends.say(1, &sender)
            if epoch % 300 == 0 { try Ends.settle(&sender, &receiver) }
            #expect(sender.state.lineage.beginnings.count <= Lineage.maxBeginnings)
            sender = Ends.sender(epoch, sender.state)
        }
        try Ends.settle(&sender, &receiver)
        #expect(sender.state.lineage.beginnings.isEmpty && receiver.applied == 999)
    }

    @Test func aReceiverThatForgotWhatItAcknowledgedStops() throws {
        var (sender, receiver) = (Ends.sender(), Ends.receiver(1))
        try Ends.say(5, &sender)
        try Ends.settle(&sender, &receiver)
        var blank = Ends.receiver(2)
        let lost = DeliveryError.receiverLostRecords(
            output: Ends.output, consumer: Ends.port, applied: 0, kept: 6)
        #expect(throws: lost) { try Ends.settle(&sender, &blank) }
        #expect("\(lost)".contains("acknowledged up to 5"))
    }

    /// It can be made whole, since another consumer still held everything back.
    @Test func aReceiverThatForgotIsHelpedWhileAllIsKept() throws {
        var sender = Ends.sender(consumers: [.init(port: Ends.port), .init(port: "Slow.in")])
        var receiver = Ends.receiver(1)
        try Ends.say(3, &sender)
        try Ends.settle(&sender, &receiver)
        var blank = Ends.receiver(2)
        #expect(try Ends.settle(&sender, &blank) == [1, 2, 3])
    }

    @Test func lateWordsOfTheSameReceiverAreIgnored() throws {
        var (sender, receiver) = (Ends.sender(), Ends.receiver(1))
        try Ends.say(5, &sender)
        try Ends.settle(&sender, &receiver)
        let late = DeliveryReport(
            output: sender.id, consumer: ConsumerID(port: Ends.port), epoch: 1, senderEpoch: 1, applied: 2)
        #expect(try sender.receive(.position(late, resend: true), at: Ends.start) == .stale)
        #expect(sender.sendable(to: 0) == nil && sender.firstKept == 6)
    }

    @Test func aNewConsumerBeginsWhereItJoined() throws {
        var (sender, receiver) = (Ends.sender(), Ends.receiver(1))
        try Ends.say(5, &sender)
        try Ends.settle(&sender, &receiver)
        let both: [DurableSender.Consumer] = [.init(port: Ends.port), .init(port: "New.in")]
        var successor = Ends.sender(2, sender.state, consumers: both)
        try Ends.say(2, &successor)
        var new = Ends.receiver(1, port: "New.in")
        #expect(try Ends.settle(&successor, &new, consumer: 1) == [6, 7])
        // The beginning stays what it was: a later sender doesn't let it pass over what it has not received.
        var third = Ends.sender(3, successor.state, consumers: both)
        try Ends.say(1, &third)
        var again = Ends.receiver(2, .init(senderEpoch: 2, applied: 6), port: "New.in")
        #expect(try Ends.settle(&third, &again, consumer: 1) == [7, 8])
        // And one that lost its journal is not taken for a new one.
        try Ends.settle(&third, &receiver)
        var blank = Ends.receiver(3, port: "New.in")
        let lost = DeliveryError.receiverLostRecords(output: Ends.output, consumer: "New.in", applied: 5, kept: 9)
        #expect(throws: lost) { try Ends.settle(&third, &blank, consumer: 1) }
    }

    @Test func aConsumerThatIsNoLongerWiredHoldsNothingBack() throws {
        let both: [DurableSender.Consumer] = [.init(port: Ends.port), .init(port: "Gone.in")]
        var (sender, receiver) = (Ends.sender(consumers: both), Ends.receiver(1))
        try Ends.say(5, &sender)
        try Ends.settle(&sender, &receiver)
        #expect(sender.firstKept == 1)
        let successor = Ends.sender(2, sender.state)
        #expect(successor.firstKept == 6 && successor.state.consumers.count == 1)
        // Back again, it begins with what comes next, and a receiver that remembers an older position jumps there.
        var third = Ends.sender(3, successor.state, consumers: both)
        var back = Ends.receiver(9, .init(senderEpoch: 1, applied: 3), port: "Gone.in")
        try Ends.say(1, &third)
        #expect(try Ends.settle(&third, &back, consumer: 1) == [6])
        #expect(back.state == .init(senderEpoch: 3, applied: 6))
    }

    @Test func strangersAreNotHeard() throws {
        var sender = Ends.sender()
        let report = DeliveryReport(
            output: sender.id, consumer: ConsumerID(port: "Other.in"), epoch: 1, senderEpoch: 1, applied: 0)
        #expect(try sender.receive(.ack(report), at: Ends.start) == .stranger)
        #expect(sender.index(of: ConsumerID(port: "Other.in")) == nil)
    }
}

/// What can't be taken is asked for again within a bound, and then it is said which message of which wire it is.
@Suite struct HopelessMessageTests {
    private func wire(
        limits: DeliveryLimits = .standard
    ) throws -> (sender: DurableSender, receiver: DurableReceiver) {
        var sender = DurableWireTests.sender(limits: limits)
        var receiver = DurableWireTests.receiver(limits: limits)
        try DurableWireTests.settle(&sender, &receiver)
        return (sender, receiver)
    }

    @Test func anUnreadableMessageIsAskedForAgainAndThenGivenUp() throws {
        var (sender, receiver) = try wire()
        try DurableWireTests.say(3, &sender)
        #expect(receiver.receive(epoch: 1, sequence: 1) == .take)
        for time in 1..<receiver.limits.maxUnreadable {
            receiver.refuse(epoch: 1, sequence: 2, reason: "no Signal")
            #expect(receiver.problem == nil)
            // Until it has been asked for again, whatever comes is no answer: a flood of it counts once.
            for _ in 0..<100 { receiver.refuse(epoch: 1, sequence: 2, reason: "no Signal") }
            #expect(receiver.problem == nil)
            guard let control = receiver.owed(isIdle: false), case .position(_, resend: true) = control else {
                Issue.record("time \(time): not asked for again")
                return
            }
            receiver.didSend(control)
        }
        receiver.refuse(epoch: 1, sequence: 2, reason: "no Signal")
        #expect(
            receiver.problem
                == .unreadable(
                    output: DurableWireTests.output, consumer: DurableWireTests.port, sequence: 2, times: 3,
                    reason: "no Signal"))
        #expect("\(receiver.problem!)".contains("Alpha.proposals → Sizer.proposals: message 2 came 3 times"))
        #expect(receiver.accepted == 1, "and it is not taken")
    }

    @Test func oneThatIsReadAtLastIsForgiven() throws {
        var (sender, receiver) = try wire()
        try DurableWireTests.say(2, &sender)
        for sequence in 1...2 as ClosedRange<UInt64> {
            for _ in 1..<receiver.limits.maxUnreadable {
                receiver.refuse(epoch: 1, sequence: sequence, reason: "cut")
            }
            #expect(receiver.receive(epoch: 1, sequence: sequence) == .take)
        }
        #expect(receiver.problem == nil)
    }

    /// Rubbish under the name of a replaced sender, of an old message or of one that is not next changes nothing.
    @Test func onlyTheNextMessageCounts() throws {
        var (_, receiver) = try wire()
        #expect(receiver.receive(epoch: 1, sequence: 1) == .take)
        for _ in 0..<100 {
            receiver.refuse(epoch: 0, sequence: 2, reason: "")
            receiver.refuse(epoch: 2, sequence: 2, reason: "")
            receiver.refuse(epoch: 1, sequence: 1, reason: "")
            receiver.refuse(epoch: 1, sequence: 3, reason: "")
        }
        #expect(receiver.problem == nil)
    }

    /// A message whose header can't be read is never seen at all: what follows it comes again and again.
    @Test(arguments: [false, true]) func oneThatNeverComesIsGivenUp(isLast: Bool) throws {
        var (sender, receiver) = try wire()
        try DurableWireTests.say(isLast ? 1 : 2, &sender)
        var now = DurableWireTests.start
        var rounds = 0
        while receiver.problem == nil, rounds < 1_000 {
            rounds += 1
            if let range = sender.sendable(to: 0) {
                for sequence in range where sequence != 1 { _ = receiver.receive(epoch: 1, sequence: sequence) }
                sender.didSend(upTo: range.upperBound, to: 0)
            }
            if let control = receiver.owed(isIdle: true) {
                receiver.didSend(control)
                _ = try sender.receive(control, at: now)
            }
            now = now + sender.limits.patience
            sender.tick(at: now)
            if let hello = sender.hello(for: 0) {
                _ = try receiver.receive(hello)
                sender.didSendHello(to: 0, at: now)
            }
        }
        guard case .missing(_, _, 1, let times) = receiver.problem else {
            Issue.record("\(String(describing: receiver.problem)) after \(rounds) rounds")
            return
        }
        #expect(times == receiver.limits.maxMissed && rounds >= 10)
    }

    /// A forged acknowledgement makes the sender forget; its consumer notices and stops rather than going on without.
    @Test func whatWasForgottenIsMissedAndNeverPassedOver() throws {
        var (sender, receiver) = try wire()
        try DurableWireTests.say(2, &sender)
        // On the way, and never to arrive: message 1 and 2. Somebody else says that they have.
        sender.didSend(upTo: 2, to: 0)
        let forged = DeliveryReport(
            output: sender.id, consumer: ConsumerID(port: DurableWireTests.port), epoch: 1, senderEpoch: 1, applied: 2)
        #expect(try sender.receive(.ack(forged), at: DurableWireTests.start) == .taken)
        #expect(sender.firstKept == 3)
        try DurableWireTests.say(1, &sender)
        #expect(try DurableWireTests.settle(&sender, &receiver).isEmpty)
        // Its Hello says what it still has, and that begins behind what the consumer needs.
        let later = DurableWireTests.start + sender.limits.patience
        sender.tick(at: later)
        let error = #expect(throws: DeliveryError.self) {
            try DurableWireTests.settle(&sender, &receiver, at: later)
        }
        guard case .receiverLostRecords(_, _, applied: 0, kept: 3) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(receiver.accepted == 0)
    }
}
