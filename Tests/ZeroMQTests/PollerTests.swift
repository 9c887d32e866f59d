import CZeroMQ
import Glibc
import TestSupport
import Testing

@testable import ZeroMQ

@Suite struct PollerTests {
    @Test func nothingReadyTimesOutAtItsTime() throws {
        let context = try Context()
        var pull = try Pull(context)
        try pull.bind(to: .inproc("p"))
        let poller = Poller(capacity: 1)
        let token = try poller.add(pull)
        #expect(try poller.wait(timeoutNs: 0) == .timedOut)
        #expect(try poller.wait(timeoutNs: -5) == .timedOut)
        let start = nowNs()
        #expect(try poller.wait(timeoutNs: 1_500_000) == .timedOut)
        #expect(nowNs() - start >= 1_500_000)
        #expect(poller.readiness(of: token) == [])
    }

    @Test func readinessStaysUntilItIsUsedUp() throws {
        let queue = try Queue()
        let poller = Poller(capacity: 2)
        let readable = try poller.add(queue.pull)
        let writable = try poller.add(queue.push, for: .writable)
        poller.watch(writable, for: [])
        #expect(try queue.push.sendWaiting([1]))
        #expect(try queue.push.sendWaiting([2]))
        var buffer = ReceiveBuffer()
        #expect(try poller.wait(timeoutMs: patienceMs) == .ready(1))
        // With one ready, looking at the others must not use the time up.
        let start = nowNs()
        #expect(try poller.wait(timeoutMs: patienceMs) == .ready(1))
        #expect(nowNs() - start < Int64(patienceMs) * 1_000_000)
        #expect(poller.readiness(of: readable) == .readable)
        #expect(poller.readiness(of: writable) == [])
        #expect(try queue.pull.next(&buffer) == [1])
        #expect(try poller.wait(timeoutMs: patienceMs) == .ready(1))
        #expect(try queue.pull.next(&buffer) == [2])
        #expect(try poller.wait(timeoutNs: 0) == .timedOut)
        poller.watch(writable, for: .writable)
        #expect(try poller.wait(timeoutMs: patienceMs) == .ready(1))
        #expect(poller.readiness(of: writable) == .writable)
    }

    @Test func roomIsReportedWhenThePeerHasMadeSome() throws {
        let queue = try Queue(push: patient { $0.sendHighWaterMark = 2 }, pull: patient { $0.receiveHighWaterMark = 2 })
        let filler = pattern(60_000)
        #expect(try queue.push.sendWaiting(filler))
        let poller = Poller(capacity: 1)
        let token = try poller.add(queue.push, for: .writable)
        // Fill until there is no room for as long as the peer does not read; an I/O thread that was held up makes some late.
        repeat {
            while try poller.wait(timeoutMs: 50) != .timedOut { _ = try queue.push.send(filler) }
        } while try queue.push.send(filler)
        var buffer = ReceiveBuffer()
        try eventually("room is reported") {
            if try poller.wait(timeoutNs: 0) != .timedOut { return true }
            _ = try queue.pull.fill(&buffer)
            return false
        }
        #expect(poller.readiness(of: token) == .writable)
        #expect(try queue.push.send(filler))
    }

    @Test func descriptorsAndSocketsAreWatchedTogether() throws {
        let queue = try Queue()
        var ends: [CInt] = [0, 0]
        #expect(pipe(&ends) == 0)
        // Neither held open by what another test starts, nor given to another test as soon as it is closed.
        let low = ends[1]
        ends[1] = fcntl(low, F_DUPFD_CLOEXEC, 700)
        Glibc.close(low)
        try #require(ends[1] >= 700)
        let poller = Poller(capacity: 3)
        let socket = try poller.add(queue.pull)
        let input = try poller.add(descriptor: ends[0])
        let output = try poller.add(descriptor: ends[1], for: .writable)
        #expect(try poller.wait(timeoutMs: patienceMs) == .ready(1))
        #expect(poller.readiness(of: output) == .writable)
        poller.watch(output, for: [])
        #expect(try poller.wait(timeoutNs: 0) == .timedOut)
        #expect(write(ends[1], "x", 1) == 1)
        #expect(try poller.wait(timeoutMs: patienceMs) == .ready(1))
        #expect(poller.readiness(of: input) == .readable)
        #expect(try queue.push.sendWaiting([1]))
        try eventually("both are ready") { try poller.wait(timeoutMs: patienceMs) == .ready(2) }
        #expect(poller.readiness(of: socket) == .readable)
        Glibc.close(ends[1])
        var byte: UInt8 = 0
        #expect(read(ends[0], &byte, 1) == 1)
        var buffer = ReceiveBuffer()
        #expect(try queue.pull.next(&buffer) == [1])
        // The end of the pipe, and the closed descriptor itself.
        #expect(try poller.wait(timeoutMs: patienceMs) == .ready(2))
        #expect(poller.readiness(of: input) == .failed)
        #expect(poller.readiness(of: output) == .failed)
        Glibc.close(ends[0])
    }

    @Test func aClosedSocketIsNeverReady() throws {
        let context = try Context()
        let poller = Poller(capacity: 2)
        var pull = try Pull(context)
        try pull.bind(to: .inproc("p"))
        var push = try Push(context)
        try push.connect(to: .inproc("p"))
        let token = try poller.add(pull)
        #expect(try push.send([1]))
        #expect(try poller.wait(timeoutMs: patienceMs) == .ready(1))
        pull.close()
        #expect(try poller.wait(timeoutNs: 1_000_000) == .timedOut)
        #expect(poller.readiness(of: token) == [])
    }

    @Test func aFullPollerSaysSo() throws {
        let context = try Context()
        let pull = try Pull(context)
        let poller = Poller(capacity: 1)
        _ = try poller.add(pull)
        let error = #expect(throws: ZeroMQError.self) { try poller.add(pull) }
        #expect(error?.code == .pollerFull)
        #expect(throws: ZeroMQError.self) { try poller.add(descriptor: 0) }
    }

    @Test func subscriptionsMakeAPublisherReadable() throws {
        let context = try Context()
        let directory = TemporaryDirectory()
        var publisher = try XPublisher(context, patient())
        try publisher.bind(to: directory.ipc("p"))
        let poller = Poller(capacity: 1)
        let token = try poller.add(publisher)
        #expect(try poller.wait(timeoutNs: 0) == .timedOut)
        var subscriber = try Subscriber(context, patient())
        try subscriber.subscribe(to: [1])
        try subscriber.connect(to: directory.ipc("p"))
        // Sending meanwhile lets libzmq process the subscription and so consumes the edge: it must not get lost.
        try eventually("the subscription is reported") {
            _ = try publisher.send([1])
            return try poller.wait(timeoutNs: 0) == .ready(1)
        }
        #expect(poller.readiness(of: token) == .readable)
        #expect(try publisher.nextSubscription() == .joined(topic: [1]))
    }

    /// Finding no subscription says nothing about whether there is room to send.
    @Test func aPublisherIsWritableAfterItFoundNoSubscription() throws {
        let context = try Context()
        var publisher = try XPublisher(context)
        try publisher.bind(to: .inproc("w"))
        let poller = Poller(capacity: 1)
        let token = try poller.add(publisher, for: [.readable, .writable])
        #expect(try publisher.nextSubscription() == nil)
        #expect(try poller.wait(timeoutNs: 0) == .ready(1))
        #expect(poller.readiness(of: token) == .writable)
    }

    /// The same answers as `zmq_poll`, over random traffic: the poller's memory of who is ready must never be out of date.
    /// With inproc sockets used by one thread there is no race with I/O threads.
    @Test(arguments: [UInt64(1), 2, 3, 4, 5, 6, 7, 8]) func agreesWithLibzmqsOwnPolling(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let context = try Context()
        let options = patient {
            $0.sendHighWaterMark = 3; $0.receiveHighWaterMark = 3
        }
        let count = 4
        var pulls: [PullBox] = []
        var pushes: [PushBox] = []
        for number in 0..<count {
            let pull = PullBox(try Pull(context, options))
            try pull.socket.bind(to: .inproc("r-\(number)"))
            let push = PushBox(try Push(context, options))
            try push.socket.connect(to: .inproc("r-\(number)"))
            pulls.append(pull)
            pushes.append(push)
        }
        let poller = Poller(capacity: 2 * count)
        var tokens: [Poller.Token] = []
        var items: [zmq_pollitem_t] = []
        for number in 0..<count {
            tokens.append(try poller.add(pulls[number].socket))
            items.append(
                zmq_pollitem_t(socket: pulls[number].socket.handle.open, fd: 0, events: Int16(ZMQ_POLLIN), revents: 0))
            tokens.append(try poller.add(pushes[number].socket, for: .writable))
            items.append(
                zmq_pollitem_t(socket: pushes[number].socket.handle.open, fd: 0, events: Int16(ZMQ_POLLOUT), revents: 0)
            )
        }
        var buffer = ReceiveBuffer()
        for step in 0..<5_000 {
            let index = Int(random.next() % UInt64(count))
            switch random.next() % 4 {
            case 0, 1: _ = try pushes[index].socket.send([1, 2, 3])
            case 2: _ = try pulls[index].socket.fill(&buffer)
            default: while try pulls[index].socket.fill(&buffer) {}
            }
            guard random.next() % 3 != 0 else { continue }
            let outcome = try poller.wait(timeoutNs: 0)
            let ready = zmq_poll(&items, CInt(items.count), 0)
            try #require(outcome == (ready == 0 ? .timedOut : .ready(Int(ready))), "step \(step) of seed \(seed)")
            for (token, item) in zip(tokens, items) {
                try #require(
                    Int16(poller.readiness(of: token).rawValue) == item.revents, "step \(step) of seed \(seed)")
            }
        }
    }
}

final class PushBox {
    var socket: Push
    init(_ socket: consuming Push) { self.socket = socket }
}
