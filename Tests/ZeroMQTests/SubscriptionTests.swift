import CZeroMQ
import Testing

@testable import ZeroMQ

@Suite struct SubscriptionTests {
    let directory = TemporaryDirectory()

    @Test func onlyMatchingPrefixesArrive() throws {
        let context = try Context()
        let endpoint = try directory.ipc("p")
        var publisher = try XPublisher(context, patient())
        try publisher.bind(to: endpoint)
        var subscriber = try Subscriber(context, patient())
        try subscriber.subscribe(to: Array("BTC".utf8))
        try subscriber.connect(to: endpoint)
        #expect(try publisher.awaitSubscription() == .joined(topic: Array("BTC".utf8)))
        for text in ["ETH 1", "BTC 1", "BT", "", "BTCUSD 2", "btc"] { #expect(try publisher.send(Array(text.utf8))) }
        var buffer = ReceiveBuffer()
        #expect(try subscriber.next(&buffer) == Array("BTC 1".utf8))
        #expect(try subscriber.next(&buffer) == Array("BTCUSD 2".utf8))

        try subscriber.subscribe(to: Array("E".utf8))
        try subscriber.unsubscribe(from: Array("BTC".utf8))
        #expect(try publisher.awaitSubscription() == .joined(topic: Array("E".utf8)))
        #expect(try publisher.awaitSubscription() == .left(topic: Array("BTC".utf8)))
        for text in ["BTC 3", "ETH 4"] { #expect(try publisher.send(Array(text.utf8))) }
        #expect(try subscriber.next(&buffer) == Array("ETH 4".utf8))
    }

    @Test func aSubscriberThatGoesIsReportedOnce() throws {
        let context = try Context()
        let endpoint = try directory.ipc("p")
        var publisher = try XPublisher(context, patient())
        try publisher.bind(to: endpoint)
        do {
            var subscriber = try Subscriber(context, patient())
            try subscriber.subscribe(to: [1])
            try subscriber.connect(to: endpoint)
            #expect(try publisher.awaitSubscription() == .joined(topic: [1]))
        }
        #expect(try publisher.awaitSubscription() == .left(topic: [1]))
        #expect(try publisher.nextSubscription() == nil)
    }

    @Test(arguments: [
        (XPublisher.Reporting.distinct, 1, 1), (.everyJoin, 2, 1), (.everyJoinAndLeave, 2, 2),
    ])
    func reportingCountsAsAskedFor(reporting: XPublisher.Reporting, joins: Int, leaves: Int) throws {
        let context = try Context()
        let endpoint = try directory.ipc("p")
        var publisher = try XPublisher(context, patient(), reporting: reporting)
        try publisher.bind(to: endpoint)
        var events: [SubscriptionEvent] = []
        do {
            var subscribers: [SubscriberBox] = []
            for _ in 0..<2 {
                let box = SubscriberBox(try Subscriber(context, patient()))
                try box.socket.subscribe(to: [7])
                try box.socket.connect(to: endpoint)
                subscribers.append(box)
            }
            // Each subscriber has joined when what is published reaches it.
            var buffer = ReceiveBuffer()
            for box in subscribers {
                try eventually("published messages arrive") {
                    while let event = try publisher.nextSubscription() { events.append(event) }
                    return try publisher.send([7]) && box.socket.now(&buffer) != nil
                }
            }
            #expect(events == Array(repeating: .joined(topic: [7]), count: joins))
        }
        for _ in 0..<leaves { #expect(try publisher.awaitSubscription() == .left(topic: [7])) }
        #expect(try publisher.nextSubscription() == nil)
    }

    /// A peer may send what it likes upstream; only subscriptions are reported.
    @Test func otherMessagesFromSubscribersAreSkipped() throws {
        let context = try Context()
        let endpoint = try Endpoint.inproc("x")
        var publisher = try XPublisher(context, patient())
        try publisher.bind(to: endpoint)
        let rogue = try #require(zmq_socket(context.raw, ZMQ_XSUB))
        defer { zmq_close(rogue) }
        try #require(zmq_connect(rogue, endpoint.description) == 0)
        let frames: [(bytes: [UInt8], flags: CInt)] = [
            ([9, 9], 0), ([], 0), ([2], ZMQ_SNDMORE), ([3], 0), ([1, 5], 0),
        ]
        for frame in frames { #expect(zmq_send(rogue, frame.bytes, frame.bytes.count, frame.flags) >= 0) }
        let event = try publisher.awaitSubscription()
        #expect(event == .joined(topic: [5]))
        #expect(try publisher.nextSubscription() == nil)
    }

    /// Every subscriber gets all that was sent after the publisher saw it.
    @Test func slowJoinersLoseOnlyWhatCameBeforeThem() throws {
        let context = try Context()
        let endpoint = try directory.ipc("p")
        var publisher = try XPublisher(context, patient(), reporting: .everyJoin)
        try publisher.bind(to: endpoint)
        for number in 0..<50 { #expect(try publisher.send([UInt8(number)])) }
        var subscriber = try Subscriber(context, patient())
        try subscriber.connect(to: endpoint)
        try subscriber.subscribe(to: [])
        _ = try publisher.awaitSubscription()
        for number in 50..<100 { #expect(try publisher.send([UInt8(number)])) }
        var buffer = ReceiveBuffer()
        for number in 50..<100 { #expect(try subscriber.next(&buffer) == [UInt8(number)]) }
    }

    @Test func plainPublisherReachesItsSubscriber() throws {
        let context = try Context()
        let endpoint = try directory.ipc("p")
        var publisher = try Publisher(context, patient())
        try publisher.bind(to: endpoint)
        var subscriber = try Subscriber(context, patient())
        try subscriber.connect(to: endpoint)
        try subscriber.subscribe(to: [])
        var buffer = ReceiveBuffer()
        try eventually("a message arrives") { try publisher.send([1]) && subscriber.now(&buffer) == [1] }
    }
}

final class SubscriberBox {
    var socket: Subscriber
    init(_ socket: consuming Subscriber) { self.socket = socket }
}
