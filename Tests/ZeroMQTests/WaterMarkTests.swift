import Testing
import ZeroMQ

/// What happens when nobody takes the messages.
@Suite struct WaterMarkTests {
    @Test func pushWithoutPeerRefuses() throws {
        let directory = TemporaryDirectory()
        var push = try Push(Context())
        #expect(try !push.send([1]))
        try push.connect(to: directory.ipc("nobody"))
        #expect(try !push.send([1]))
        #expect(try !push.readiness.contains(.writable))
    }

    /// libzmq's default, which keeps messages for a peer that may never come, up to the high-water mark.
    @Test func pushThatIsNotImmediateQueuesForAnAbsentPeer() throws {
        let directory = TemporaryDirectory()
        var push = try Push(
            Context(),
            patient {
                $0.immediate = false; $0.sendHighWaterMark = 10
            })
        try push.connect(to: directory.ipc("nobody"))
        var accepted = 0
        while try push.send([1]) { accepted += 1 }
        #expect(accepted == 10)
    }

    @Test func waitingSendGivesUpAtItsTime() throws {
        var push = try Push(Context(), patient { $0.sendTimeoutMs = 20 })
        let start = nowNs()
        #expect(try !push.sendWaiting([1]))
        #expect(nowNs() - start >= 19_000_000)
    }

    /// Back-pressure: refused messages are the sender's still, accepted ones all arrive, in order.
    @Test func fullPushRefusesAndLosesNothing() throws {
        let queue = try Queue(push: patient { $0.sendHighWaterMark = 5 }, pull: patient { $0.receiveHighWaterMark = 5 })
        let filler = pattern(4_096)
        var accepted: UInt32 = 0
        func message(_ number: UInt32) -> [UInt8] { withUnsafeBytes(of: number) { Array($0) } + filler }
        #expect(try queue.push.sendWaiting(message(accepted)))
        accepted += 1
        // Nobody reads: the queues of both sides and the kernel's fill up until sending is refused for good. An I/O thread
        // that was held up makes room late.
        var refusals = 0
        while try refusals < 200 || queue.push.readiness.contains(.writable) {
            try #require(accepted < 100_000, "never refused")
            if try queue.push.send(message(accepted)) {
                accepted += 1
                refusals = 0
            } else {
                refusals += 1
                _ = try Poller(capacity: 1).wait(timeoutNs: 100_000)
            }
        }
        var buffer = ReceiveBuffer()
        for number in 0..<accepted {
            let received = try queue.pull.next(&buffer)
            try #require(received == message(number))
        }
        #expect(try queue.pull.now(&buffer) == nil)
        try eventually("there is room again") { try queue.push.readiness.contains(.writable) }
    }

    /// A publisher that drops never refuses; the subscriber sees gaps, but no disorder.
    @Test func xPublisherDropsForASlowSubscriber() throws {
        let (accepted, received) = try publish(20_000, whenFull: .drop)
        #expect(accepted == 20_000)
        #expect(received.count < 20_000)
        #expect(received == received.sorted())
    }

    @Test func xPublisherThatRefusesLosesNothing() throws {
        let (accepted, received) = try publish(20_000, whenFull: .refuse)
        #expect(accepted < 20_000)
        #expect(received == Array(0..<UInt32(accepted)))
    }

    /// Publishes without anybody reading, then reads to the end mark.
    private func publish(_ count: Int, whenFull: XPublisher.Overflow) throws -> (accepted: Int, received: [UInt32]) {
        let directory = TemporaryDirectory()
        let context = try Context()
        let endpoint = try directory.ipc("p")
        var publisher = try XPublisher(
            context,
            patient {
                $0.sendHighWaterMark = 5; $0.kernelSendBytes = 4_096
            }, whenFull: whenFull)
        try publisher.bind(to: endpoint)
        var subscriber = try Subscriber(
            context,
            patient {
                $0.receiveHighWaterMark = 5; $0.kernelReceiveBytes = 4_096
                // What was accepted is waited for; of what may have been dropped, silence tells the end.
                if whenFull == .drop { $0.receiveTimeoutMs = 200 }
            })
        try subscriber.connect(to: endpoint)
        try subscriber.subscribe(to: [])
        _ = try publisher.awaitSubscription()
        let filler = pattern(1_000)
        var accepted = 0
        for number in 0..<UInt32(count) {
            if try publisher.send(withUnsafeBytes(of: number) { Array($0) } + filler) {
                accepted += 1
            } else {
                // The accepted ones are a prefix: stop at the first refusal.
                break
            }
        }
        var received: [UInt32] = []
        var buffer = ReceiveBuffer()
        while received.count < accepted, let message = try subscriber.receiveWaiting(into: &buffer) {
            received.append(message.unsafeLoadUnaligned(as: UInt32.self))
        }
        #expect(try subscriber.now(&buffer) == nil, "nothing came that was refused")
        return (accepted, received)
    }
}
