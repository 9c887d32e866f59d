import Testing
import ZeroMQ

/// Bytes go in and come out, over real sockets.
@Suite struct RoundTripTests {
    /// 33 bytes is the largest message that libzmq keeps inside `zmq_msg_t` itself; 255 the longest with a short ZMTP frame;
    /// 8192 the size of its I/O batches.
    @Test(arguments: [0, 1, 32, 33, 34, 64, 255, 256, 8_191, 8_192, 8_193, 1 << 20])
    func everySizeArrivesUnchanged(size: Int) throws {
        let wire = try Queue()
        var buffer = ReceiveBuffer()
        for round in 0..<3 {
            let sent = pattern(size, seed: round)
            #expect(try wire.push.sendWaiting(sent))
            #expect(try wire.pull.next(&buffer) == sent)
            #expect(buffer.count == size)
        }
    }

    @Test(arguments: ["ipc", "ipc-abstract", "inproc", "tcp"])
    func everyTransportCarries(transport: String) throws {
        let directory = TemporaryDirectory()
        let context = try Context()
        var pull = try Pull(context, patient())
        var push = try Push(context, patient())
        let endpoint: Endpoint =
            switch transport {
            case "ipc": try directory.ipc("a")
            case "ipc-abstract": try Endpoint("ipc://@\(directory.path)")
            case "inproc": try .inproc("a")
            default: try Endpoint("tcp://127.0.0.1:0")
            }
        try pull.bind(to: endpoint)
        let last = pull.lastEndpoint
        let bound = try #require(last)
        try push.connect(to: Endpoint(bound))
        var buffer = ReceiveBuffer()
        #expect(try push.sendWaiting([1, 2, 3]))
        #expect(try pull.next(&buffer) == [1, 2, 3])
    }

    @Test func orderIsKeptAndNothingIsLostBetweenTwo() throws {
        let wire = try Queue(
            push: patient { $0.sendHighWaterMark = 10 }, pull: patient { $0.receiveHighWaterMark = 10 })
        var buffer = ReceiveBuffer()
        var received: UInt32 = 0
        var sent: UInt32 = 0
        while received < 5_000 {
            // With nothing in flight, room is all there is to wait for.
            if sent == received, try withUnsafeBytes(of: sent, { try wire.push.sendWaiting($0) }) { sent += 1 }
            while sent < 5_000, try withUnsafeBytes(of: sent, { try wire.push.send($0) }) { sent += 1 }
            guard let bytes = try wire.pull.receiveWaiting(into: &buffer) else { break }
            let number = bytes.unsafeLoadUnaligned(as: UInt32.self)
            try #require(number == received)
            received += 1
        }
        #expect(received == 5_000)
        #expect(try wire.pull.now(&buffer) == nil)
    }

    @Test func nothingWaitingIsNilAndEmptiesTheBuffer() throws {
        let wire = try Queue()
        var buffer = ReceiveBuffer()
        #expect(try wire.push.sendWaiting([7]))
        #expect(try wire.pull.next(&buffer) == [7])
        #expect(buffer.bytes.array == [7])
        #expect(try wire.pull.now(&buffer) == nil)
        #expect(buffer.count == 0)
        #expect(buffer.bytes.array == [])
    }

    /// PUB would lose all of these (slow joiner); XPUB says when the subscriber is there.
    @Test func publisherThatWaitsForItsSubscriberLosesNothing() throws {
        let directory = TemporaryDirectory()
        let context = try Context()
        var publisher = try XPublisher(context, patient())
        var subscriber = try Subscriber(context, patient())
        let endpoint = try directory.ipc("p")
        try subscriber.connect(to: endpoint)
        try subscriber.subscribe(to: [])
        try publisher.bind(to: endpoint)
        #expect(try publisher.awaitSubscription() == .joined(topic: []))
        for number in 0..<500 { #expect(try publisher.send(pattern(200, seed: number))) }
        var buffer = ReceiveBuffer()
        for number in 0..<500 { try #require(try subscriber.next(&buffer) == pattern(200, seed: number)) }
    }

    @Test func erasedRolesCarryOn() throws {
        let context = try Context()
        let endpoint = try Endpoint.inproc("erased")
        var pull = try Pull(context, patient())
        try pull.bind(to: endpoint)
        var push = try Push(context, patient())
        try push.connect(to: endpoint)
        var receiver = AnyReceiver(pull)
        var sender = AnySender(push)
        var buffer = ReceiveBuffer()
        #expect(try sender.send([9]))
        #expect(try receiver.next(&buffer) == [9])
    }
}
