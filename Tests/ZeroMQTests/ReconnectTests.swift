import Glibc
import Testing
import ZeroMQ

/// Connections come back by themselves.
@Suite struct ReconnectTests {
    let directory = TemporaryDirectory()

    @Test func aPushFindsALaterListener() throws {
        let endpoint = try directory.ipc("late")
        let context = try Context()
        var push = try Push(context, patient())
        try push.connect(to: endpoint)
        #expect(try !push.send([1]))
        var pull = try Pull(context, patient())
        try pull.bind(to: endpoint)
        #expect(try push.sendWaiting([2]))
        var buffer = ReceiveBuffer()
        #expect(try pull.next(&buffer) == [2])
    }

    @Test func aPushFindsItsReplacedListenerAgain() throws {
        let endpoint = try directory.ipc("again")
        let context = try Context()
        var push = try Push(context, patient())
        try push.connect(to: endpoint)
        var monitor = try Monitor(of: push)
        var buffer = ReceiveBuffer()
        for round in 0..<5 {
            var pull = try Pull(context, patient())
            try pull.bind(to: endpoint)
            try monitor.await(.handshakeSucceeded)
            #expect(try push.sendWaiting([UInt8(round)]))
            #expect(try pull.next(&buffer) == [UInt8(round)])
            pull.close()
            try monitor.await(.disconnected)
            // With IMMEDIATE nothing is accepted for a peer that is gone.
            try eventually("sending is refused") { try !push.readiness.contains(.writable) }
            #expect(try !push.send([255]))
        }
    }

    /// A subscriber subscribes again by itself, and the publisher sees it leave and join.
    @Test func aSubscriberJoinsAgain() throws {
        let endpoint = try directory.ipc("sub")
        let listener = try listen(at: endpoint.address)
        defer { Glibc.close(listener) }
        let context = try Context()
        var subscriber = try Subscriber(context, patient())
        try subscriber.subscribe(to: [3])
        try subscriber.connect(to: endpoint)
        var buffer = ReceiveBuffer()
        for round in 0..<5 {
            var publisher = try XPublisher(context, patient())
            try publisher.bind(to: endpoint, listeningOn: listener)
            // The subscriber must be looked after meanwhile: its own thread is what subscribes again.
            var event: SubscriptionEvent?
            try eventually("it joins in round \(round)") {
                _ = try subscriber.readiness
                event = try publisher.nextSubscription()
                return event != nil
            }
            #expect(event == .joined(topic: [3]))
            #expect(try publisher.send([3, UInt8(round)]))
            #expect(try subscriber.next(&buffer) == [3, UInt8(round)])
        }
    }

    @Test func disconnectAndUnbindUndo() throws {
        let context = try Context()
        let one = try directory.ipc("one")
        let two = try directory.ipc("two")
        var first = try Pull(context, patient())
        var second = try Pull(context, patient())
        try first.bind(to: one)
        try second.bind(to: two)
        var push = try Push(context, patient())
        var buffer = ReceiveBuffer()
        try push.connect(to: one)
        #expect(try push.sendWaiting([1]))
        #expect(try first.next(&buffer) == [1])
        try push.disconnect(from: one)
        try eventually("it has taken effect") { try !push.readiness.contains(.writable) }
        try push.connect(to: two)
        for number in 2..<5 {
            #expect(try push.sendWaiting([UInt8(number)]))
            #expect(try second.next(&buffer) == [UInt8(number)])
        }
        #expect(try first.now(&buffer) == nil)
        #expect(throws: ZeroMQError.self) { try push.disconnect(from: one) }

        try first.unbind(from: one)
        var third = try Pull(context, patient())
        try eventually("the endpoint is free") { (try? third.bind(to: one)) != nil }
    }
}

extension Monitor {
    /// Waits for an event of this kind; others are passed over.
    mutating func await(_ kind: MonitorEvent.Kind) throws {
        let poller = Poller(capacity: 1)
        _ = try poller.add(self)
        var seen: [MonitorEvent.Kind] = []
        while true {
            while let event = try next() {
                if event.kind == kind { return }
                seen.append(event.kind)
            }
            let outcome = try poller.wait(timeoutMs: patienceMs)
            try #require(outcome != .timedOut, "\(kind) did not come after \(seen)")
        }
    }
}
