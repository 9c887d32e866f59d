import CZeroMQ
import Testing

@testable import ZeroMQ

/// Messages that are not as agreed: too large, or of several frames. Each is reported and leaves the stream intact.
@Suite struct FrameTests {
    @Test(arguments: [2, 3, 50]) func multipartMessagesAreConsumedWhole(frames: Int) throws {
        let queue = try Queue()
        let raw = queue.push.handle.open
        #expect(try queue.push.sendWaiting([1]))
        for frame in 0..<frames {
            let bytes = pattern(frame * 10)
            try #require(zmq_send(raw, bytes, bytes.count, frame == frames - 1 ? 0 : ZMQ_SNDMORE) >= 0)
        }
        #expect(try queue.push.sendWaiting([2]))
        var buffer = ReceiveBuffer()
        #expect(try queue.pull.next(&buffer) == [1])
        let error = #expect(throws: ZeroMQError.self) { try queue.pull.next(&buffer) }
        #expect(error?.code == .multipart)
        #expect(error?.sizeBytes == (0..<frames).reduce(0) { $0 + $1 * 10 })
        #expect(error?.description.contains("\(frames) frames") == true)
        #expect(buffer.count == 0)
        #expect(try queue.pull.next(&buffer) == [2])
    }

    @Test func aMessageTooLargeForTheBufferSaysBothSizes() throws {
        let queue = try Queue()
        #expect(try queue.push.sendWaiting(pattern(101)))
        #expect(try queue.push.sendWaiting(pattern(100)))
        var buffer = ReceiveBuffer(maximumBytes: 100)
        let error = #expect(throws: ZeroMQError.self) { try queue.pull.next(&buffer) }
        #expect(error?.code == .messageTooLarge)
        #expect(error?.sizeBytes == 101)
        #expect(error?.limitBytes == 100)
        #expect(buffer.count == 0)
        #expect(try queue.pull.next(&buffer) == pattern(100))
    }

    @Test func aMessageTooLargeToSendIsRefusedBeforeItIsSent() throws {
        let queue = try Queue(push: patient { $0.maximumMessageBytes = 1_000 })
        let error = #expect(throws: ZeroMQError.self) { try queue.push.sendWaiting(pattern(1_001)) }
        #expect(error?.code == .messageTooLarge)
        #expect(error?.sizeBytes == 1_001)
        #expect(error?.limitBytes == 1_000)
        #expect(throws: ZeroMQError.self) { try queue.push.send(pattern(1_001)) }
        #expect(try queue.push.sendWaiting(pattern(1_000)))
        var buffer = ReceiveBuffer()
        #expect(try queue.pull.next(&buffer) == pattern(1_000))
    }

    /// ZMQ_MAXMSGSIZE: the receiver drops the connection of whoever sends more, before it has stored it.
    @Test func aPeerThatSendsMoreThanAllowedIsDisconnected() throws {
        let queue = try Queue(pull: patient { $0.maximumMessageBytes = 1_000 })
        var monitor = try Monitor(of: queue.push)
        #expect(try queue.push.sendWaiting(pattern(1_000)))
        var buffer = ReceiveBuffer()
        #expect(try queue.pull.next(&buffer) == pattern(1_000))
        #expect(try queue.push.sendWaiting(pattern(1_001)))
        try monitor.await(.disconnected)
        try monitor.await(.handshakeSucceeded)
        #expect(try queue.push.sendWaiting([5]))
        #expect(try queue.pull.next(&buffer) == [5])
    }

    @Test func theBufferKeepsItsMessageUntilItIsUsedAgain() throws {
        let queue = try Queue()
        for size in [1, 33, 34, 9_000] { #expect(try queue.push.sendWaiting(pattern(size))) }
        var one = ReceiveBuffer()
        var two = ReceiveBuffer()
        #expect(try queue.pull.next(&one) == pattern(1))
        #expect(try queue.pull.next(&two) == pattern(33))
        #expect(one.bytes.array == pattern(1))
        #expect(try queue.pull.next(&one) == pattern(34))
        #expect(two.withUnsafeBytes { Array($0) } == pattern(33))
        // Moving the buffer as a value must not move the bytes away from under a reader (33 bytes lie inside zmq_msg_t).
        var moved = two
        #expect(moved.bytes.array == pattern(33))
        #expect(try queue.pull.next(&moved) == pattern(9_000))
        moved.clear()
        #expect(moved.count == 0)
        #expect(one.bytes.array == pattern(34))
    }
}
