import Glibc
import Testing
import ZeroMQ

/// Signals interrupt system calls; no message is lost or sent twice for it, and no wait ends early.
@Suite(.serialized) struct InterruptionTests {
    @Test func aBlockedReceiveOutlastsSignals() throws {
        let directory = TemporaryDirectory()
        let endpoint = try directory.ipc("r")
        let context = try Context()
        let received = Shared<[UInt8]?>(nil)
        let failure = Shared<String?>(nil)
        let receiver = TestThread {
            do {
                var pull = try Pull(context, patient())
                try pull.bind(to: endpoint)
                var buffer = ReceiveBuffer()
                received.value = try pull.next(&buffer)
            } catch { failure.value = "\(error)" }
        }
        try receiver.interrupt(times: 50)
        #expect(received.value == nil)
        #expect(!receiver.hasEnded)
        var push = try Push(context, patient())
        try push.connect(to: endpoint)
        #expect(try push.sendWaiting([42]))
        receiver.join()
        #expect(received.value == [42])
        #expect(failure.value == nil)
    }

    @Test func aBlockedReceiveEndsAtItsTimeHoweverOftenInterrupted() throws {
        let context = try Context()
        let elapsedMs = Shared<Int64>(-1)
        let wasNil = Shared(false)
        let receiver = TestThread {
            do {
                var pull = try Pull(context, patient { $0.receiveTimeoutMs = 200 })
                try pull.bind(to: .inproc("t"))
                var buffer = ReceiveBuffer()
                let start = nowNs()
                wasNil.value = try pull.next(&buffer) == nil
                elapsedMs.value = (nowNs() - start) / 1_000_000
            } catch {}
        }
        // Without the shrinking of the time left, each of these would start the 200 ms anew.
        try receiver.interrupt(times: .max)
        receiver.join()
        #expect(wasNil.value)
        #expect(elapsedMs.value >= 199)
    }

    @Test func aBlockedSendOutlastsSignalsWithoutDuplicates() throws {
        let directory = TemporaryDirectory()
        let endpoint = try directory.ipc("s")
        let context = try Context()
        var pull = try Pull(context, patient { $0.receiveHighWaterMark = 4 })
        try pull.bind(to: endpoint)
        let total = 3_000
        let sent = Shared(0)
        let failure = Shared<String?>(nil)
        let sender = TestThread {
            do {
                var push = try Push(context, patient { $0.sendHighWaterMark = 4 })
                try push.connect(to: endpoint)
                let filler = pattern(2_000)
                for number in 0..<total {
                    guard try push.sendWaiting([UInt8(number & 255), UInt8(number >> 8)] + filler) else { return }
                    sent.value += 1
                }
                // Closing with LINGER 0 discards what is queued: stay until all has arrived.
                try eventually("the receiver has all") { sent.value == -1 }
            } catch { failure.value = "\(error)" }
        }
        try sender.interrupt(times: 20)
        var buffer = ReceiveBuffer()
        for number in 0..<total {
            if number % 16 == 0 { sender.interrupt() }
            let message = try pull.next(&buffer)
            try #require(message?.prefix(2) == [UInt8(number & 255), UInt8(number >> 8)])
        }
        #expect(try pull.now(&buffer) == nil)
        #expect(sent.value == total)
        sent.value = -1
        sender.join()
        #expect(failure.value == nil)
    }

    @Test func aPollerSaysThatItWasInterrupted() throws {
        let context = try Context()
        let outcome = Shared<Poller.Outcome?>(nil)
        let waiter = TestThread {
            do {
                var pull = try Pull(context)
                try pull.bind(to: .inproc("i"))
                let poller = Poller(capacity: 1)
                _ = try poller.add(pull)
                outcome.value = try poller.wait(timeoutMs: patienceMs)
            } catch {}
        }
        try waiter.interrupt(times: .max)
        waiter.join()
        #expect(outcome.value == .interrupted)
    }
}
