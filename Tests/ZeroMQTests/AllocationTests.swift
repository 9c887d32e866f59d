import CAllocations
import CZeroMQ
import Testing

@testable import ZeroMQ

/// The hot path allocates nothing of its own: the same traffic in plain C calls on the same kind of sockets costs this thread
/// exactly as many allocations, which are libzmq's (a message of more than 33 bytes is one, queue chunks are some).
@Suite(.enabled(if: allocations_are_counted() != 0, "needs glibc's allocator"))
struct AllocationTests {
    static let rounds = 5_000
    /// Never full: libzmq's non-blocking send looks for freed room only now and then, and a refusal would skew the count.
    static let room: CInt = 100_000

    @Test func theCounterCounts() {
        let before = allocations_of_this_thread()
        let array = [UInt8](repeating: 1, count: 1_000)
        #expect(array.count == 1_000)
        #expect(allocations_of_this_thread() > before)
    }

    @Test(arguments: [0, 1, 33, 34, 200, 1_024, 8_192])
    func queueCostsWhatLibzmqCosts(size: Int) throws {
        let bytes = pattern(size)
        let inC = try allocationsInC(bytes)
        let ours = try allocationsInSwift(bytes, through: AnySender.init, AnyReceiver.init)
        #expect(ours == inC)
        if size > 33 { #expect(inC >= UInt64(Self.rounds), "libzmq allocates for these: the counter must see it") }
    }

    @Test func publishingCostsTheSameFilledOrSpanned() throws {
        let context = try Context()
        let endpoint = try Endpoint.inproc("x")
        var publisher = try XPublisher(context)
        try publisher.bind(to: endpoint)
        var subscriber = try Subscriber(context)
        try subscriber.connect(to: endpoint)
        try subscriber.subscribe(to: [])
        _ = try publisher.awaitSubscription()
        let bytes = pattern(33)
        var buffer = ReceiveBuffer()
        func round() throws {
            guard try publisher.send(bytes.span.bytes), try subscriber.fill(&buffer) else { return }
            guard try publisher.send(bytes.span.bytes), try subscriber.receive(into: &buffer) != nil else { return }
            guard try subscriber.receive(into: &buffer) == nil else { return }
        }
        for _ in 0..<Self.rounds { try round() }
        let before = allocations_of_this_thread()
        for _ in 0..<Self.rounds { try round() }
        // libzmq's queues grow in chunks of 256 messages and keep one spare.
        #expect(allocations_of_this_thread() - before <= UInt64(Self.rounds / 100))
    }

    @Test func waitingCostsNothing() throws {
        let context = try Context()
        var sockets: [PullBox] = []
        let poller = Poller(capacity: 40)
        for number in 0..<40 {
            let box = PullBox(try Pull(context))
            try box.socket.bind(to: .inproc("wait-\(number)"))
            _ = try poller.add(box.socket)
            sockets.append(box)
        }
        var push = try Push(context)
        try push.connect(to: .inproc("wait-7"))
        let bytes = pattern(8)
        var buffer = ReceiveBuffer()
        func round() throws {
            _ = try poller.wait(timeoutNs: 0)
            _ = try push.send(bytes.span.bytes)
            _ = try poller.wait(timeoutNs: 1_000_000)
            while try sockets[7].socket.fill(&buffer) {}
        }
        for _ in 0..<1_000 { try round() }
        let before = allocations_of_this_thread()
        for _ in 0..<1_000 { try round() }
        #expect(allocations_of_this_thread() - before <= 10)
    }

    private func allocationsInSwift(
        _ bytes: [UInt8], through sender: (consuming Push) -> AnySender, _ receiver: (consuming Pull) -> AnyReceiver
    ) throws -> UInt64 {
        let context = try Context()
        let endpoint = try Endpoint.inproc("a")
        var options = SocketOptions()
        options.sendHighWaterMark = Int(Self.room)
        options.receiveHighWaterMark = Int(Self.room)
        var pull = try Pull(context, options)
        try pull.bind(to: endpoint)
        var push = try Push(context, options)
        try push.connect(to: endpoint)
        var incoming = receiver(pull)
        var outgoing = sender(push)
        var buffer = ReceiveBuffer()
        var failures = 0
        func round() throws {
            if try !outgoing.send(bytes.span.bytes) { failures += 1 }
            if let message = try incoming.receive(into: &buffer) {
                if message.byteCount != bytes.count { failures += 1 }
            } else {
                failures += 1
            }
        }
        for _ in 0..<Self.rounds { try round() }
        let before = allocations_of_this_thread()
        for _ in 0..<Self.rounds { try round() }
        let count = allocations_of_this_thread() - before
        #expect(failures == 0)
        return count
    }

    private func allocationsInC(_ bytes: [UInt8]) throws -> UInt64 {
        let context = try #require(zmq_ctx_new())
        let pull = try #require(zmq_socket(context, ZMQ_PULL))
        let push = try #require(zmq_socket(context, ZMQ_PUSH))
        defer {
            zmq_close(push)
            zmq_close(pull)
            zmq_ctx_term(context)
        }
        var room = Self.room
        zmq_setsockopt(push, ZMQ_SNDHWM, &room, MemoryLayout<CInt>.size)
        zmq_setsockopt(pull, ZMQ_RCVHWM, &room, MemoryLayout<CInt>.size)
        try #require(zmq_bind(pull, "inproc://a") == 0)
        try #require(zmq_connect(push, "inproc://a") == 0)
        var message = zmq_msg_t()
        return withUnsafeMutablePointer(to: &message) { message in
            zmq_msg_init(message)
            defer { zmq_msg_close(message) }
            var failures = 0
            func round() {
                bytes.withUnsafeBytes {
                    if zmq_send(push, $0.baseAddress, $0.count, ZMQ_DONTWAIT) != bytes.count { failures += 1 }
                }
                if zmq_msg_recv(message, pull, ZMQ_DONTWAIT) != bytes.count { failures += 1 }
            }
            for _ in 0..<Self.rounds { round() }
            let before = allocations_of_this_thread()
            for _ in 0..<Self.rounds { round() }
            let count = allocations_of_this_thread() - before
            #expect(failures == 0)
            return count
        }
    }
}

/// Move-only values cannot be elements of an array; a box can.
final class PullBox {
    var socket: Pull
    init(_ socket: consuming Pull) { self.socket = socket }
}
