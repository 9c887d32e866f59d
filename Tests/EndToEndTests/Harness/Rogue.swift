import Foundation
import Glibc
import SwiftProtobuf
import Testing
import Wire
import ZeroMQ

@testable import Authority

/// A process of the same user (this one) that speaks the venue's wire: it connects to the socket that orders come in by and
/// says that it is the execution agent.
struct Rogue: ~Copyable {
    private let context: Context
    private var socket: Push
    private var incarnation: UInt64
    private var sequence: UInt64

    /// Goes on where the real sender has ended, so that only what is inside the orders can give it away.
    init(_ place: Place) throws {
        let last = try VenuePage.with(place) { page in
            (0..<page.wireCount).map { page.wire($0) }.first { $0.name == "LiquidityFlow.orders>PaperVenue.orders" }
                .map { (max(1, $0[.incarnation]), $0[.sequence]) }
        }
        let context = try Context()
        var socket = try Push(context)
        let port = PortID(agent: "PaperVenue", port: "orders")
        try socket.connect(to: Endpoint(SocketPath.ipc(of: port, runDirectory: place.run)))
        (incarnation, sequence) = last ?? (1, 0)
        self.context = context
        self.socket = socket
    }

    mutating func send(_ order: Order, as encoding: Encoding = .protobuf, sentAt: Instant? = nil) throws {
        sequence += 1
        try send(try Self.frame(order, incarnation, sequence, as: encoding, sentAt: sentAt))
    }

    /// The last frame once more, byte for byte.
    mutating func sendAgain(_ order: Order) throws {
        try send(try Self.frame(order, incarnation, sequence))
    }

    mutating func send(_ bytes: [UInt8]) throws {
        let deadline = monotonicSeconds() + patienceSeconds
        while try !bytes.withUnsafeBytes({ try socket.send($0) }) {
            try #require(monotonicSeconds() < deadline, "the venue takes nothing any more")
            usleep(1_000)
        }
    }

    static func frame(
        _ order: Order, _ incarnation: UInt64, _ sequence: UInt64, from port: String = "LiquidityFlow.orders",
        as encoding: Encoding = .protobuf, sentAt: Instant? = nil
    ) throws -> [UInt8] {
        var frame = try Payload.order(order).encoded(as: encoding)
        try frame.seal(
            Header(
                encoding: encoding, payloadType: .order, output: OutputID(port: port), incarnation: incarnation,
                sequence: sequence, trace: TraceID(666), originAt: sentAt ?? now(), sentAt: sentAt ?? now(),
                payloadBytes: 0))
        return frame.bytes
    }

    static func now() -> Instant {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Instant(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }
}

/// What the venue has counted.
enum VenuePage {
    static func with<Value>(_ place: Place, _ body: (StatsPageView) throws -> Value) throws -> Value {
        let content = try Data(contentsOf: URL(fileURLWithPath: "\(place.run)/agents/PaperVenue/stats"))
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: content.count, alignment: 8)
        defer { memory.deallocate() }
        memory.copyBytes(from: content)
        let page = StatsPageView(memory)
        try #require(page.isValid)
        return try body(page)
    }

    static func counter(_ name: String, _ place: Place) throws -> UInt64 {
        try with(place) { page in page.counters.first { $0.name == name }?.value ?? 0 }
    }
}

/// The keys of a run, taken as only a test may: a process of the same user could, which is why untrusted agents get a user
/// of their own.
struct StolenKeys {
    let path: String
    let keyring: Keyring

    init(_ place: Place) throws {
        path = "\(place.run)/keyring"
        let descriptor = open(path, O_RDONLY)
        try #require(descriptor >= 0)
        keyring = try Keyring(descriptor: descriptor)
    }

    /// Makes the grace of a replaced key end now, which would take minutes otherwise.
    func endGrace(of keyID: UInt64) throws {
        let file = open(path, O_RDWR)
        try #require(file >= 0)
        defer { close(file) }
        for slot in 0..<KeyringPage.slotCount {
            var words: [UInt64] = [0, 0, 0]
            let at = KeyringPage.slotAt(slot)
            try #require(pread(file, &words, 24, off_t(at)) == 24)
            guard words[0] == keyID else { continue }
            var end = UInt64(bitPattern: Rogue.now().nanoseconds)
            try #require(pwrite(file, &end, 8, off_t(at + 16)) == 8)
            var generation: UInt64 = 0
            try #require(pread(file, &generation, 8, 8) == 8)
            generation += 1
            try #require(pwrite(file, &generation, 8, 8) == 8)
        }
    }
}
