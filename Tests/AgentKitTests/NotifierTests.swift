import CLinux
import Foundation
import Synchronization
import Testing

@testable import AgentKit

/// A supervisor's end of the notify socket, which is read when the test says so.
private final class Receiver: Sendable {
    let path: String
    let socket: Int32

    init(path: String) throws {
        self.path = path
        socket = qp_bind_unix_datagram(path)
        try #require(socket >= 0)
    }

    deinit { close(socket) }

    /// Fills the queue to the last place.
    func fill() {
        let other = Notifier(path: path)
        for _ in 0..<10_000 where !isFull { other.status("filling") }
    }

    private var isFull: Bool {
        // A connected socket's poll looks at the receiver's queue.
        let probe = Glibc.socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        defer { close(probe) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let size = socklen_t(MemoryLayout<sockaddr_un>.size)
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(probe, $0, size) }
        }
        var room = pollfd(fd: probe, events: Int16(POLLOUT), revents: 0)
        return result == 0 && poll(&room, 1, 0) == 0
    }

    /// The next message; nil after two seconds without any.
    func next() -> String? {
        var readable = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
        guard poll(&readable, 1, 2_000) == 1 else { return nil }
        var bytes = [UInt8](repeating: 0, count: 4_096)
        let count = recv(socket, &bytes, bytes.count, 0)
        return count < 0 ? nil : String(decoding: bytes[..<count], as: UTF8.self)
    }
}

/// Two agents that talk to one supervisor.
private final class Talkers: Sendable {
    static let pings = 100
    private let isOver = Mutex(false)
    let path: String

    init(path: String) { self.path = path }

    /// Says something as often as it can, as long as the other is at work.
    func flood() {
        let notifier = Notifier(path: path)
        while !isOver.withLock({ $0 }) { notifier.status("still talking") }
    }

    func ping() {
        let notifier = Notifier(path: path)
        for _ in 0..<Self.pings {
            notifier.watchdog()
            usleep(1_000)
        }
        isOver.withLock { $0 = true }
    }
}

@Suite("Notifier: a short queue that all agents share", .serialized)
struct NotifierTests {
    private func withReceiver(_ body: (Receiver) throws -> Void) throws {
        let path = "/tmp/qp-notify-\(getpid())-\(UInt32.random(in: 0...(.max)))"
        defer { unlink(path) }
        try body(try Receiver(path: path))
    }

    private func onThread(_ body: @escaping @Sendable () -> Void) -> DispatchSemaphore {
        let done = DispatchSemaphore(value: 0)
        Thread {
            body()
            done.signal()
        }.start()
        return done
    }

    @Test("READY waits for room in a full queue")
    func readyWaits() throws {
        try withReceiver { receiver in
            receiver.fill()
            let path = receiver.path
            let done = onThread { Notifier(path: path).ready(status: "here") }
            // As when a busy machine gives the supervisor no time for a while.
            #expect(done.wait(timeout: .now() + .milliseconds(Notifier.importantMs + 500)) == .timedOut)
            var filling = 0
            var last: String?
            while let message = receiver.next() {
                last = message
                if message.hasPrefix("READY=1") { break }
                filling += 1
            }
            #expect(last == "READY=1\nSTATUS=here" && filling > 0)
            #expect(done.wait(timeout: .now() + .seconds(60)) == .success)
        }
    }

    @Test("pings of one agent arrive although another floods the queue")
    func floodTakesNoPings() throws {
        // A receiver that a busy machine gives no time for 10 ms costs a ping too: several tries, of which one has to be good.
        var heard: [Int] = []
        while heard.count < 5, heard.last ?? 0 < Talkers.pings * 95 / 100 { heard.append(try pingsHeardInAFlood()) }
        // A watchdog forgives one lost ping, never two in a row; few are lost even here.
        #expect(heard.last ?? 0 >= Talkers.pings * 95 / 100, "\(heard)")
    }

    private func pingsHeardInAFlood() throws -> Int {
        var pings = 0
        try withReceiver { receiver in
            let talkers = Talkers(path: receiver.path)
            let flood = onThread { talkers.flood() }
            let ping = onThread { talkers.ping() }
            while let message = receiver.next() { pings += message == "WATCHDOG=1" ? 1 : 0 }
            #expect(flood.wait(timeout: .now() + .seconds(60)) == .success)
            #expect(ping.wait(timeout: .now() + .seconds(60)) == .success)
        }
        return pings
    }

    @Test("what replaces the receiver is heard by the same notifier")
    func goesOnAfterAReplacement() throws {
        let path = "/tmp/qp-notify-\(getpid())-again"
        defer { unlink(path) }
        let notifier = Notifier(path: path)
        notifier.ready(status: "nobody hears it")
        for round in 1...2 {
            unlink(path)
            let receiver = try Receiver(path: path)
            notifier.ready(status: "\(round)")
            #expect(receiver.next() == "READY=1\nSTATUS=\(round)")
        }
    }
}
