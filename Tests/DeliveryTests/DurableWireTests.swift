import Testing
import Wire

@testable import Delivery

/// The two ends by hand, one situation a test. The simulator beside this finds the situations nobody thought of.
@Suite struct DurableWireTests {
    static let output = "Alpha.proposals"
    static let port = "Sizer.proposals"
    static let start = Instant(nanoseconds: 1_000_000_000)

    static func sender(
        _ epoch: UInt64 = 1, _ restored: DurableSender.State? = nil,
        consumers: [DurableSender.Consumer] = [.init(port: port)],
        limits: DeliveryLimits = .standard
    ) -> DurableSender {
        DurableSender(
            output: output, epoch: epoch, consumers: consumers, restored: restored, limits: limits, at: start)
    }

    static func receiver(
        _ epoch: UInt64 = 1, _ restored: DurableReceiver.State? = nil, port: String = port,
        limits: DeliveryLimits = .standard
    ) -> DurableReceiver {
        DurableReceiver(source: output, port: port, epoch: epoch, restored: restored, limits: limits)
    }

    /// Carries everything owed in both directions until nothing is. Returns the messages taken.
    @discardableResult
    static func settle(
        _ sender: inout DurableSender, _ receiver: inout DurableReceiver, consumer: Int = 0, at now: Instant = start
    ) throws -> [UInt64] {
        var taken: [UInt64] = []
        for _ in 0..<1_000 {
            var isQuiet = true
            if let hello = sender.hello(for: consumer) {
                _ = try receiver.receive(hello)
                sender.didSendHello(to: consumer, at: now)
                isQuiet = false
            }
            if let range = sender.sendable(to: consumer) {
                for sequence in range where receiver.receive(epoch: sender.epoch, sequence: sequence) == .take {
                    receiver.didApply(upTo: sequence)
                    taken.append(sequence)
                }
                sender.didSend(upTo: range.upperBound, to: consumer)
                isQuiet = false
            }
            if let control = receiver.owed(isIdle: true) {
                receiver.didSend(control)
                _ = try sender.receive(control, at: now)
                isQuiet = false
            }
            if isQuiet { return taken }
        }
        Issue.record("the two ends never fall silent")
        return taken
    }

    /// A consumer that was taken off a wire and put on again begins later than it thinks. Its own position is then below
    /// where it begins, also to a sender that has heard that position before, in an earlier incarnation.
    @Test func aConsumerThatHasNotHeardWhereItBeginsIsTold() throws {
        var receiver = Self.receiver()
        var first = Self.sender(1)
        try Self.settle(&first, &receiver)
        var without = Self.sender(2, first.state, consumers: [])
        try Self.say(1, &without)
        var third = Self.sender(3, without.state)
        _ = try receiver.receive(try #require(third.hello(for: 0)))
        let position = try #require(receiver.owed(isIdle: true))
        receiver.didSend(position)
        _ = try third.receive(position, at: Self.start)
        var fourth = Self.sender(4, third.state)
        try Self.settle(&fourth, &receiver)
        try Self.say(1, &fourth)
        #expect(try Self.settle(&fourth, &receiver) == [2])
        #expect(fourth.unacked == 0)
    }

    static func say(_ count: Int, _ sender: inout DurableSender) throws {
        for _ in 0..<count { sender.didJournal(upTo: sender.append(at: start)) }
    }

    @Test func messagesArriveInOrderAndAreTrimmed() throws {
        var (sender, receiver) = (Self.sender(), Self.receiver())
        #expect(try Self.settle(&sender, &receiver).isEmpty)
        try Self.say(5, &sender)
        #expect(sender.firstKept == 1)
        #expect(try Self.settle(&sender, &receiver) == [1, 2, 3, 4, 5])
        #expect(sender.firstKept == 6 && sender.unacked == 0 && sender.deadline == nil)
    }

    @Test func nothingIsSentBeforeItIsJournaled() throws {
        var (sender, receiver) = (Self.sender(), Self.receiver())
        try Self.settle(&sender, &receiver)
        _ = sender.append(at: Self.start)
        #expect(sender.sendable(to: 0) == nil)
        sender.didJournal(upTo: 1)
        #expect(sender.sendable(to: 0) == 1...1)
    }

    @Test func nothingIsAcknowledgedBeforeItIsApplied() throws {
        var (sender, receiver) = (Self.sender(), Self.receiver())
        try Self.settle(&sender, &receiver)
        #expect(receiver.receive(epoch: 1, sequence: 1) == .take)
        #expect(receiver.owed(isIdle: true) == nil)
        receiver.didApply(upTo: 1)
        #expect(receiver.owed(isIdle: false) == nil)
        guard case .ack(let report) = receiver.owed(isIdle: true) else { return #expect(Bool(false)) }
        #expect(report.applied == 1)
    }

    @Test func aBusyReceiverAcknowledgesInBatches() throws {
        var (sender, receiver) = (Self.sender(), Self.receiver())
        try Self.settle(&sender, &receiver)
        for sequence in 1...DeliveryLimits.standard.ackEvery {
            #expect(receiver.owed(isIdle: false) == nil)
            #expect(receiver.receive(epoch: 1, sequence: sequence) == .take)
            receiver.didApply(upTo: sequence)
        }
        let owed = try #require(receiver.owed(isIdle: false))
        receiver.didSend(owed)
        #expect(receiver.owed(isIdle: true) == nil)
    }

    /// A socket without room takes nothing; what was owed is still owed.
    @Test func whatIsNotSentStaysOwed() throws {
        let sender = Self.sender()
        #expect(sender.hello(for: 0) != nil && sender.hello(for: 0) == sender.hello(for: 0))
        let receiver = Self.receiver()
        #expect(receiver.owed(isIdle: false) == receiver.owed(isIdle: true))
        #expect(receiver.owed(isIdle: false) != nil)
    }

    @Test func aGapAsksOnceAndEverythingFromThereIsSentAgain() throws {
        var (sender, receiver) = (Self.sender(), Self.receiver())
        try Self.settle(&sender, &receiver)
        try Self.say(4, &sender)
        sender.didSend(upTo: 4, to: 0)
        #expect(receiver.receive(epoch: 1, sequence: 1) == .take)
        receiver.didApply(upTo: 1)
        #expect(receiver.receive(epoch: 1, sequence: 3) == .gap)
        let asked = try #require(receiver.owed(isIdle: false))
        guard case .position(let report, resend: true) = asked else { return #expect(Bool(false)) }
        #expect(report.applied == 1)
        receiver.didSend(asked)
        #expect(receiver.receive(epoch: 1, sequence: 4) == .gap)
        #expect(receiver.owed(isIdle: false) == nil)
        #expect(try sender.receive(asked, at: Self.start) == .taken)
        #expect(sender.sendable(to: 0) == 2...4)
        #expect(try Self.settle(&sender, &receiver) == [2, 3, 4])
    }

    @Test func aDuplicateIsDroppedAndAcknowledgedAgain() throws {
        var (sender, receiver) = (Self.sender(), Self.receiver())
        try Self.settle(&sender, &receiver)
        try Self.say(2, &sender)
        try Self.settle(&sender, &receiver)
        #expect(receiver.receive(epoch: 1, sequence: 1) == .duplicate)
        #expect(receiver.owed(isIdle: false) == nil)
        guard case .ack(let report) = receiver.owed(isIdle: true) else { return #expect(Bool(false)) }
        #expect(report.applied == 2)
    }

    @Test func aRestartedReceiverGetsWhatItHadNotApplied() throws {
        var (sender, receiver) = (Self.sender(), Self.receiver())
        try Self.settle(&sender, &receiver)
        try Self.say(5, &sender)
        sender.didSend(upTo: 5, to: 0)
        for sequence in UInt64(1)...2 { #expect(receiver.receive(epoch: 1, sequence: sequence) == .take) }
        receiver.didApply(upTo: 2)
        var successor = Self.receiver(2, receiver.state)
        #expect(try Self.settle(&sender, &successor) == [3, 4, 5])
    }

    @Test func aRestartedSenderGoesOnWhereTheReceiverIs() throws {
        var (sender, receiver) = (Self.sender(), Self.receiver())
        try Self.settle(&sender, &receiver)
        try Self.say(2, &sender)
        try Self.settle(&sender, &receiver)
        try Self.say(2, &sender)
        var successor = Self.sender(2, sender.state)
        #expect(successor.last == 4)
        try Self.say(1, &successor)
        #expect(try Self.settle(&successor, &receiver) == [3, 4, 5])
    }

    /// The position is written lazily; an old one only makes the sender keep more.
    @Test func anOldPositionOfTheJournalDoesNoHarm() throws {
        var (sender, receiver) = (Self.sender(), Self.receiver())
        var old = sender.state
        try Self.settle(&sender, &receiver)
        try Self.say(5, &sender)
        try Self.settle(&sender, &receiver)
        old.noteMessage(epoch: 1, sequence: 5)
        var successor = Self.sender(2, old)
        #expect(successor.firstKept == 1)
        #expect(try Self.settle(&successor, &receiver).isEmpty)
        #expect(successor.firstKept == 6)
    }

    /// A state is written behind what was taken and numbered, durable yet or not: it must not say less than the journal before
    /// it, else what is in there takes effect again.
    @Test func aStateCountsWhatIsInTheJournalBeforeIt() throws {
        var (sender, receiver) = (Self.sender(), Self.receiver())
        try Self.settle(&sender, &receiver)
        #expect(sender.append(at: Self.start) == 1)
        #expect(sender.journaled == 0 && sender.state.last == 1)
        #expect(receiver.receive(epoch: 1, sequence: 1) == .take)
        #expect(receiver.applied == 0 && receiver.state == .init(senderEpoch: 1, applied: 1))
    }

    /// Who numbered what is told by the messages too, when the journal ends before the state says so.
    @Test func messagesTellTheLineage() throws {
        var state = DurableSender.State(epoch: 1, last: 2)
        state.noteMessage(epoch: 1, sequence: 3)
        state.noteMessage(epoch: 4, sequence: 4)
        state.noteMessage(epoch: 4, sequence: 5)
        #expect(state.last == 5 && state.epoch == 4)
        #expect(state.lineage.first(after: 3) == 4 && state.lineage.first(after: 4) == nil)
    }

    @Test func withoutProgressAHelloAsksAgain() throws {
        var (sender, receiver) = (Self.sender(), Self.receiver())
        try Self.settle(&sender, &receiver)
        #expect(sender.deadline == nil)
        try Self.say(1, &sender)
        sender.didSend(upTo: 1, to: 0)
        let deadline = try #require(sender.deadline)
        #expect(deadline == Self.start + DeliveryLimits.standard.patience)
        sender.tick(at: deadline - Nanoseconds(1))
        #expect(sender.hello(for: 0) == nil)
        sender.tick(at: deadline)
        #expect(sender.hello(for: 0)?.sent == 1)
        // Waits for room in the socket rather than for a time.
        #expect(sender.deadline == nil)
        #expect(try Self.settle(&sender, &receiver, at: deadline) == [1])
        #expect(sender.deadline == nil)
    }

    /// A receiver that is only slow has all that was sent before the Hello, in order: nothing is sent again.
    @Test func aSlowReceiverIsNotFloodedWithRepeats() throws {
        var (sender, receiver) = (Self.sender(), Self.receiver())
        try Self.settle(&sender, &receiver)
        try Self.say(3, &sender)
        sender.didSend(upTo: 3, to: 0)
        sender.tick(at: Self.start + .seconds(1))
        let hello = try #require(sender.hello(for: 0))
        sender.didSendHello(to: 0, at: Self.start)
        for sequence in UInt64(1)...3 { #expect(receiver.receive(epoch: 1, sequence: sequence) == .take) }
        receiver.didApply(upTo: 3)
        #expect(try receiver.receive(hello) == .known)
        guard case .position(_, resend: false) = receiver.owed(isIdle: false) else { return #expect(Bool(false)) }
    }

    @Test func aConsumerThatIsNotWaitedForMayBeFurtherBehind() throws {
        let limits = DeliveryLimits(window: 3, reach: 5, maxUnacked: 7)
        for isFeedback in [false, true] {
            let consumer = DurableSender.Consumer(port: Self.port, isFeedback: isFeedback)
            var sender = Self.sender(consumers: [consumer], limits: limits)
            #expect(sender.laggard == nil)
            for number in UInt64(1)...8 {
                #expect(sender.isFull == (number > (isFeedback ? 5 : 3)))
                #expect(sender.isSaturated == (number > 7))
                #expect(sender.append(at: Self.start) == number, "what an event gives is numbered all the same")
                #expect(sender.laggard == consumer)
            }
            // A restart changes nothing of it.
            let next = DurableSender(
                output: Self.output, epoch: 2, consumers: [consumer], restored: sender.state, limits: limits,
                at: Self.start)
            #expect(next.isFull && next.isSaturated && next.laggard == consumer)
        }
        #expect(DeliveryLimits(window: 9, reach: 1).reach == 9)
    }

    @Test func theSlowestConsumerSaturates() throws {
        let limits = DeliveryLimits(window: 3, reach: 5, maxUnacked: 7)
        let consumers = [Self.port, "Away.in"].map { DurableSender.Consumer(port: $0, isFeedback: true) }
        var sender = Self.sender(consumers: consumers, limits: limits)
        var receiver = Self.receiver()
        for _ in 1...7 {
            try Self.say(1, &sender)
            try Self.settle(&sender, &receiver)
        }
        #expect(sender.unacked(by: 0) == 0 && sender.isSaturated && sender.laggard == consumers[1])
    }

    @Test func whatAConsumerThatIsWiredNoMoreHasNotGotIsTold() throws {
        var sender = Self.sender(consumers: [.init(port: Self.port), .init(port: "Old.in")])
        var receiver = Self.receiver()
        try Self.say(2, &sender)
        try Self.settle(&sender, &receiver)
        try Self.say(3, &sender)
        let next = DurableSender(
            output: Self.output, epoch: 2, consumers: [.init(port: Self.port)], restored: sender.state, at: Self.start)
        #expect(
            next.forgotten == [.init(id: ConsumerID(port: "Old.in"), port: "Old.in", messages: 1...5)])
    }

    @Test func trimmingWaitsForTheSlowestConsumer() throws {
        let ports = ["A.in", "B.in"]
        var sender = Self.sender(consumers: ports.map { .init(port: $0) })
        var receivers = ports.map { Self.receiver(port: $0) }
        try Self.say(4, &sender)
        try Self.settle(&sender, &receivers[0], consumer: 0)
        #expect(sender.firstKept == 1)
        try Self.settle(&sender, &receivers[1], consumer: 1)
        #expect(sender.firstKept == 5)
    }

    @Test func anOutputWithoutConsumersKeepsNothing() throws {
        var sender = Self.sender(consumers: [])
        try Self.say(3, &sender)
        #expect(sender.firstKept == 4 && !sender.isFull && sender.deadline == nil)
    }
}
