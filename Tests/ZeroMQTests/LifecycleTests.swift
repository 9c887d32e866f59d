import CZeroMQ
import Glibc
import Testing

@testable import ZeroMQ

/// The end of sockets and contexts: always orderly, never a hang.
@Suite struct LifecycleTests {
    let directory = TemporaryDirectory()

    @Test func terminationNamesTheSocketsThatAreOpen() throws {
        let context = try Context()
        var pull = try Pull(context)
        try pull.bind(to: .inproc("named"))
        let push = try Push(context)
        let error = #expect(throws: ZeroMQError.self) { try context.terminate(timeoutMs: 10) }
        #expect(error?.code == .socketsOpen)
        #expect(
            error?.description.contains("2 sockets are open after 10 ms: Pull inproc://named, Push") == true,
            "\(error!)")
        push.close()
        pull.close()
        try context.terminate(timeoutMs: 0)
        try context.terminate(timeoutMs: 0)
        context.shutdown()
    }

    @Test func afterTerminationNothingOpens() throws {
        let context = try Context()
        try context.terminate()
        let error = #expect(throws: ZeroMQError.self) { try open(context) }
        #expect(error?.code == .terminated)
    }

    @Test func shutdownWakesABlockedReceiverWhichThenCloses() throws {
        let context = try Context()
        let endpoint = try directory.ipc("b")
        let code = Shared<ZeroMQError.Code?>(nil)
        let isBound = Shared(false)
        let receiver = TestThread {
            do {
                var pull = try Pull(context, patient { $0.receiveTimeoutMs = nil })
                try pull.bind(to: endpoint)
                isBound.value = true
                var buffer = ReceiveBuffer()
                _ = try pull.next(&buffer)
            } catch { code.value = (error as? ZeroMQError)?.code }
        }
        try eventually("bound") { isBound.value }
        try context.terminate(timeoutMs: patienceMs)
        receiver.join()
        #expect(code.value == .terminated)
    }

    @Test func shutdownReachesEveryCall() throws {
        let context = try Context()
        var push = try Push(context, patient())
        var pull = try Pull(context, patient())
        var publisher = try XPublisher(context)
        let poller = Poller(capacity: 1)
        _ = try poller.add(pull)
        try pull.bind(to: .inproc("s"))
        context.shutdown()
        var buffer = ReceiveBuffer()
        let calls: [() throws -> Void] = [
            { _ = try push.send([1]) }, { _ = try push.sendWaiting([1]) }, { _ = try pull.now(&buffer) },
            { _ = try pull.next(&buffer) }, { _ = try publisher.nextSubscription() },
            { try push.connect(to: .inproc("s")) },
            { try pull.bind(to: .inproc("t")) }, { _ = try poller.wait(timeoutMs: patienceMs) },
            { _ = try pull.readiness },
            { try open(context) },
        ]
        for (index, call) in calls.enumerated() {
            let error = #expect(throws: ZeroMQError.self, "call \(index)") { try call() }
            #expect(error?.code == .terminated, "call \(index): \(String(describing: error))")
        }
    }

    /// Undelivered messages do not hold up the end: LINGER is 0.
    @Test(arguments: [true, false]) func queuedMessagesDoNotHoldUpTheEnd(connected: Bool) throws {
        let context = try Context()
        var push = try Push(context, patient { $0.immediate = false })
        var pull = try Pull(context, patient())
        let endpoint = try directory.ipc("q\(connected)")
        if connected { try pull.bind(to: endpoint) }
        try push.connect(to: endpoint)
        for _ in 0..<500 { #expect(try push.send(pattern(4_096))) }
        push.close()
        pull.close()
        try context.terminate(timeoutMs: 0)
    }

    /// With LINGER, what was accepted leaves the process before the context ends.
    @Test func lingeringDeliversWhatWasAccepted() throws {
        let endpoint = try directory.ipc("l")
        var pull = try Pull(Context(), patient())
        try pull.bind(to: endpoint)
        do {
            let context = try Context()
            var push = try Push(context, patient { $0.lingerMs = 10_000 })
            try push.connect(to: endpoint)
            for number in 0..<900 { #expect(try push.sendWaiting(withUnsafeBytes(of: UInt32(number)) { Array($0) })) }
            push.close()
            try context.terminate()
        }
        var buffer = ReceiveBuffer()
        for number in 0..<900 {
            let message = try pull.next(&buffer)
            try #require(message == withUnsafeBytes(of: UInt32(number)) { Array($0) })
        }
    }

    @Test func socketsKeepTheirContextAlive() throws {
        weak var observed: Context?
        do {
            var pull: Pull
            do {
                let context = try Context()
                observed = context
                pull = try Pull(context, patient())
            }
            #expect(observed != nil)
            try pull.bind(to: .inproc("k"))
        }
        #expect(observed == nil)
    }

    @Test func socketsAreHandedOverWhole() throws {
        let context = try Context()
        let endpoint = try Endpoint.inproc("h")
        var pull = try Pull(context, patient())
        try pull.bind(to: endpoint)
        let done = Shared(false)
        let thread = TestThread {
            do {
                var push = try Push(context, patient())
                try push.connect(to: endpoint)
                done.value = try push.sendWaiting([1])
            } catch {}
        }
        thread.join()
        #expect(done.value)
    }

    @Test func descriptorsAreGivenBack() throws {
        // Contexts of concurrent tests open and close their own: compare until it holds.
        let context = try Context()
        for round in 0..<200 {
            var pull = try Pull(context)
            try pull.bind(to: directory.ipc("d"))
            var push = try Push(context)
            try push.connect(to: directory.ipc("d"))
            let monitor = try Monitor(of: push)
            _ = try XPublisher(context).isOpen
            #expect(monitor.handle.isOpen, "round \(round)")
            monitor.close()
            push.close()
            pull.close()
        }
        // The context allows 1,023 sockets: 1,000 were opened; none of them may still count.
        var names: [PullBox] = []
        try eventually("all slots are free again") {
            names.removeAll()
            for _ in 0..<1_000 {
                guard let pull = try? Pull(context) else { return false }
                names.append(PullBox(pull))
            }
            return true
        }
    }

    @Test func closingTwiceIsHarmless() throws {
        let context = try Context()
        let handle: SocketHandle
        do {
            let push = try Push(context)
            handle = push.handle
            handle.close()
            #expect(!handle.isOpen)
        }
        #expect(!handle.isOpen)
        try context.terminate(timeoutMs: 0)
    }

    private func open(_ context: Context) throws { _ = try Push(context).isOpen }
}
