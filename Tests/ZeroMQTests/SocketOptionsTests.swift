import CZeroMQ
import Testing

@testable import ZeroMQ

/// Every option reaches libzmq, and what must not reach it is refused with its reason.
@Suite struct SocketOptionsTests {
    @Test func platformDefaultsReachEverySocket() throws {
        let context = try Context()
        let push = try Push(context)
        try expect(
            push.handle,
            [
                (ZMQ_LINGER, 0), (ZMQ_SNDHWM, 1_000), (ZMQ_RCVHWM, 1_000), (ZMQ_RECONNECT_IVL, 1),
                (ZMQ_RECONNECT_IVL_MAX, 20),
                (ZMQ_IMMEDIATE, 1), (ZMQ_SNDTIMEO, 1_000), (ZMQ_RCVTIMEO, 1_000), (ZMQ_HANDSHAKE_IVL, 5_000),
                (ZMQ_BACKLOG, 128),
                (ZMQ_HEARTBEAT_IVL, 0), (ZMQ_SNDBUF, -1), (ZMQ_RCVBUF, -1), (ZMQ_USE_FD, -1), (ZMQ_TYPE, ZMQ_PUSH),
            ])
        #expect(maximumMessageBytes(push.handle) == 16 << 20)
        let pull = try Pull(context)
        try expect(pull.handle, [(ZMQ_IMMEDIATE, 0), (ZMQ_TYPE, ZMQ_PULL), (ZMQ_LINGER, 0)])
        let subscriber = try Subscriber(context)
        try expect(subscriber.handle, [(ZMQ_IMMEDIATE, 0), (ZMQ_TYPE, ZMQ_SUB), (ZMQ_LINGER, 0)])
        let publisher = try Publisher(context)
        try expect(publisher.handle, [(ZMQ_IMMEDIATE, 0), (ZMQ_TYPE, ZMQ_PUB), (ZMQ_LINGER, 0)])
        let xPublisher = try XPublisher(context)
        try expect(xPublisher.handle, [(ZMQ_IMMEDIATE, 0), (ZMQ_TYPE, ZMQ_XPUB), (ZMQ_LINGER, 0)])
    }

    @Test func everyOptionIsPassedOn() throws {
        var options = SocketOptions()
        options.lingerMs = 11
        options.sendHighWaterMark = 12
        options.receiveHighWaterMark = 13
        options.reconnectIntervalMs = 14
        options.reconnectIntervalMaxMs = 150
        options.immediate = false
        options.maximumMessageBytes = 16
        options.sendTimeoutMs = 17
        options.receiveTimeoutMs = nil
        options.conflate = true
        options.handshakeTimeoutMs = 18
        options.backlog = 19
        options.heartbeatIntervalMs = 2_000
        options.heartbeatTimeoutMs = 2_100
        options.kernelSendBytes = 65_536
        options.kernelReceiveBytes = 65_537
        let push = try Push(Context(), options)
        try expect(
            push.handle,
            [
                (ZMQ_LINGER, 11), (ZMQ_SNDHWM, 12), (ZMQ_RCVHWM, 13), (ZMQ_RECONNECT_IVL, 14),
                (ZMQ_RECONNECT_IVL_MAX, 150),
                (ZMQ_IMMEDIATE, 0), (ZMQ_SNDTIMEO, 17), (ZMQ_RCVTIMEO, -1), (ZMQ_HANDSHAKE_IVL, 18), (ZMQ_BACKLOG, 19),
                (ZMQ_HEARTBEAT_IVL, 2_000), (ZMQ_HEARTBEAT_TIMEOUT, 2_100), (ZMQ_SNDBUF, 65_536), (ZMQ_RCVBUF, 65_537),
                (ZMQ_CONFLATE, 1),
            ])
        #expect(maximumMessageBytes(push.handle) == 16)
    }

    struct Refusal: Sendable, CustomTestStringConvertible {
        let words: String
        let change: @Sendable (inout SocketOptions) -> Void
        var testDescription: String { words }
        init(_ words: String, _ change: @escaping @Sendable (inout SocketOptions) -> Void) {
            self.words = words
            self.change = change
        }
    }

    static let refusals = [
        Refusal("lingerMs is -1") { $0.lingerMs = -1 },
        Refusal("lingerMs is 10001") { $0.lingerMs = 10_001 },
        Refusal("sendHighWaterMark is 0") { $0.sendHighWaterMark = 0 },
        Refusal("receiveHighWaterMark is -1") { $0.receiveHighWaterMark = -1 },
        Refusal("reconnectIntervalMs is 0; it must be in 1...60000 (with 0 libzmq 4.3.4 never reconnects") {
            $0.reconnectIntervalMs = 0
        },
        Refusal("reconnectIntervalMaxMs is 5; it is below reconnectIntervalMs (6)") {
            $0.reconnectIntervalMs = 6
            $0.reconnectIntervalMaxMs = 5
        },
        Refusal("maximumMessageBytes is 0") { $0.maximumMessageBytes = 0 },
        Refusal("sendTimeoutMs is -1") { $0.sendTimeoutMs = -1 },
        Refusal("receiveTimeoutMs is \(Int(Int32.max) + 1)") { $0.receiveTimeoutMs = Int(Int32.max) + 1 },
        Refusal("handshakeTimeoutMs is 0") { $0.handshakeTimeoutMs = 0 },
        Refusal("backlog is 0") { $0.backlog = 0 },
        Refusal("heartbeatIntervalMs is 0") { $0.heartbeatIntervalMs = 0 },
        Refusal("heartbeatTimeoutMs is 0") { $0.heartbeatTimeoutMs = 0 },
        Refusal("kernelSendBytes is 0") { $0.kernelSendBytes = 0 },
        Refusal("kernelReceiveBytes is 0") { $0.kernelReceiveBytes = 0 },
    ]

    @Test(arguments: refusals) func valuesOutOfRangeAreRefused(refusal: Refusal) throws {
        let context = try Context()
        var options = SocketOptions()
        refusal.change(&options)
        let error = #expect(throws: ZeroMQError.self) { try open(context, options) }
        #expect(error?.code == .invalidOption)
        #expect(error?.description.contains(refusal.words) == true, "\(String(describing: error))")
        // Nothing was left open by the refusal.
        try context.terminate(timeoutMs: 0)
    }

    @Test func conflateIsRefusedWhereLibzmqIgnoresIt() throws {
        var options = SocketOptions()
        options.conflate = true
        let context = try Context()
        #expect(throws: ZeroMQError.self) { try openXPublisher(context, options) }
        #expect(try Subscriber(context, options).isOpen)
    }

    /// One message per peer: the newest.
    @Test func conflateKeepsTheNewest() throws {
        let context = try Context()
        let endpoint = try Endpoint.inproc("c")
        var pull = try Pull(context, patient { $0.conflate = true })
        try pull.bind(to: endpoint)
        var push = try Push(context, patient { $0.conflate = true })
        try push.connect(to: endpoint)
        for number in 0..<100 { #expect(try push.sendWaiting([UInt8(number)])) }
        var buffer = ReceiveBuffer()
        #expect(try pull.next(&buffer) == [99])
        #expect(try pull.now(&buffer) == nil)
    }

    @Test(arguments: [(0, 1), (65, 1), (1, 0), (1, 65_536)])
    func contextLimitsAreChecked(ioThreads: Int, maximumSockets: Int) {
        let error = #expect(throws: ZeroMQError.self) {
            try Context(ioThreads: ioThreads, maximumSockets: maximumSockets)
        }
        #expect(error?.code == .invalidOption)
    }

    @Test func theContextsMaximumOfSocketsIsKept() throws {
        let context = try Context(ioThreads: 2, maximumSockets: 1)
        #expect(zmq_ctx_get(context.raw, ZMQ_IO_THREADS) == 2)
        #expect(zmq_ctx_get(context.raw, ZMQ_BLOCKY) == 0)
        let first = try Pull(context)
        let error = #expect(throws: ZeroMQError.self) { try open(context, SocketOptions()) }
        #expect(error?.description.contains("EMFILE") == true)
        first.close()
        try eventually("the slot is free again") { (try? open(context, SocketOptions())) != nil }
    }

    private func open(_ context: Context, _ options: SocketOptions) throws { _ = try Push(context, options).isOpen }
    private func openXPublisher(_ context: Context, _ options: SocketOptions) throws {
        _ = try XPublisher(context, options).isOpen
    }

    private func expect(
        _ handle: SocketHandle, _ values: [(option: CInt, value: CInt)],
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        for (option, value) in values {
            var actual: CInt = 0
            var size = MemoryLayout<CInt>.size
            try #require(zmq_getsockopt(handle.open, option, &actual, &size) == 0, "option \(option)")
            #expect(actual == value, "option \(option)", sourceLocation: sourceLocation)
        }
    }

    private func maximumMessageBytes(_ handle: SocketHandle) -> Int64 {
        var actual: Int64 = 0
        var size = MemoryLayout<Int64>.size
        zmq_getsockopt(handle.open, ZMQ_MAXMSGSIZE, &actual, &size)
        return actual
    }
}

extension Socket where Self: ~Copyable {
    var isOpen: Bool { handle.isOpen }
}
