import Glibc
import Testing
import ZeroMQ

@Suite struct MonitorTests {
    let directory = TemporaryDirectory()

    @Test func aConnectionsLifeIsReportedOnBothSides() throws {
        let context = try Context()
        let endpoint = try directory.ipc("m")
        var pull = try Pull(context, patient())
        var listening = try Monitor(of: pull)
        try pull.bind(to: endpoint)
        try listening.await(.listening)
        var push = try Push(context, patient())
        var connecting = try Monitor(of: push)
        try push.connect(to: endpoint)
        try connecting.await(.connected)
        try connecting.await(.handshakeSucceeded)
        try listening.await(.accepted)
        try listening.await(.handshakeSucceeded)
        push.close()
        try listening.await(.disconnected)
        try connecting.await(.stopped)
        #expect(try connecting.next() == nil)
    }

    @Test func eventsNameTheirEndpoint() throws {
        let context = try Context()
        let endpoint = try directory.ipc("m")
        var pull = try Pull(context, patient())
        var monitor = try Monitor(of: pull)
        try pull.bind(to: endpoint)
        #expect(try monitor.next() == MonitorEventMatch.listening(at: endpoint))
    }

    @Test func failuresCarryTheirReason() throws {
        let context = try Context()
        var pull = try Pull(context, patient())
        var monitor = try Monitor(of: pull)
        let endpoint = try Endpoint.ipc(path: directory.path + "/missing/e")
        #expect(throws: ZeroMQError.self) { try pull.bind(to: endpoint) }
        try monitor.await(.bindFailed(ENOENT))
    }

    @Test func attemptsAreReportedOnlyWhenAskedFor() throws {
        let context = try Context()
        var push = try Push(context, patient())
        var monitor = try Monitor(of: push, .everything)
        try push.connect(to: directory.ipc("nobody"))
        try monitor.await(.closed)
        try monitor.await(.closed)

        var quiet = try Push(context, patient())
        var silent = try Monitor(of: quiet)
        try quiet.connect(to: directory.ipc("nobody"))
        // By the time that the first has tried again, the second has tried too.
        for _ in 0..<20 { try monitor.await(.closed) }
        #expect(try silent.next() == nil)
    }

    /// A peer that talks something else is reported, not silently retried for ever.
    @Test func aPeerOfAnotherProtocolIsReported() throws {
        let context = try Context()
        let endpoint = try directory.ipc("m")
        var pull = try Pull(context, patient { $0.handshakeTimeoutMs = 100 })
        var monitor = try Monitor(of: pull)
        try pull.bind(to: endpoint)
        let stranger = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0)
        defer { Glibc.close(stranger) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: endpoint.address.utf8) }
        let connected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(stranger, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        #expect(connected == 0)
        try monitor.await(.accepted)
        let poller = Poller(capacity: 1)
        _ = try poller.add(monitor)
        var failed = false
        while !failed {
            try #require(try poller.wait(timeoutMs: patienceMs) != .timedOut)
            while let event = try monitor.next() {
                switch event.kind {
                case .handshakeFailed, .handshakeProtocolError, .disconnected: failed = true
                default: break
                }
            }
        }
    }

    @Test func aSecondMonitorIsRefusedAndAThirdAfterTheFirstIsNot() throws {
        let context = try Context()
        let push = try Push(context)
        let first = try Monitor(of: push)
        let error = #expect(throws: ZeroMQError.self) { try monitorAgain(push) }
        #expect(error?.code == .alreadyMonitored)
        first.close()
        try monitorAgain(push)
    }

    @Test(arguments: [true, false]) func closingInEitherOrderEnds(monitorFirst: Bool) throws {
        let context = try Context()
        for _ in 0..<50 {
            let push = try Push(context)
            let monitor = try Monitor(of: push)
            if monitorFirst {
                monitor.close()
                push.close()
            } else {
                push.close()
                monitor.close()
            }
        }
        try context.terminate(timeoutMs: 0)
    }

    /// Events that nobody reads must not block libzmq's I/O thread, which would stop all sockets of the context.
    @Test func unreadEventsStopNobody() throws {
        let context = try Context()
        var idle = try Push(context, patient { $0.reconnectIntervalMaxMs = 1 })
        let monitor = try Monitor(of: idle, .everything)
        try idle.connect(to: directory.ipc("nobody"))
        // More than libzmq's default high-water mark of 1,000 on each side: three events per attempt.
        var other = try Push(context, patient { $0.reconnectIntervalMaxMs = 1 })
        var counting = try Monitor(of: other, .everything)
        try other.connect(to: directory.ipc("nobody"))
        for _ in 0..<1_000 { try counting.await(.closed) }
        var pull = try Pull(context, patient())
        try pull.bind(to: directory.ipc("alive"))
        var push = try Push(context, patient())
        try push.connect(to: directory.ipc("alive"))
        var buffer = ReceiveBuffer()
        #expect(try push.sendWaiting([1]))
        #expect(try pull.next(&buffer) == [1])
        #expect(monitor.handle.isOpen)
    }

    private func monitorAgain(_ push: borrowing Push) throws { _ = try Monitor(of: push).handle.isOpen }
}

/// What an event should be, with the endpoint as libzmq spells it.
struct MonitorEventMatch: Sendable {
    let kind: MonitorEvent.Kind
    let endpoint: String

    static func listening(at endpoint: Endpoint) -> MonitorEventMatch {
        MonitorEventMatch(kind: .listening, endpoint: endpoint.description)
    }

    static func == (event: MonitorEvent?, match: MonitorEventMatch) -> Bool {
        event?.kind == match.kind && event?.endpoint == match.endpoint
    }
}
