import Glibc
import Testing
import ZeroMQ

/// A short temporary directory (ipc paths end at 107 bytes), removed with its sockets when it goes.
final class TemporaryDirectory: Sendable {
    let path: String

    init() {
        var template = Array("/tmp/qp-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { fatalError("mkdtemp: errno \(errno)") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    func ipc(_ name: String) throws -> Endpoint { try .ipc(path: "\(path)/\(name)") }

    deinit {
        if let directory = opendir(path) {
            while let entry = readdir(directory) {
                let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                    String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
                }
                if name != "." && name != ".." { unlink("\(path)/\(name)") }
            }
            closedir(directory)
        }
        rmdir(path)
    }
}

/// No test waits longer than this for anything.
let patienceMs = 60_000

func nowNs() -> Int64 {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return Int64(now.tv_sec) * 1_000_000_000 + Int64(now.tv_nsec)
}

/// Asks again until the condition holds, giving way to other threads in between; fails after the common patience.
func eventually(
    _ what: Comment, sourceLocation: SourceLocation = #_sourceLocation, _ holds: () throws -> Bool
) throws {
    let end = nowNs() + Int64(patienceMs) * 1_000_000
    while try !holds() {
        try #require(nowNs() < end, what, sourceLocation: sourceLocation)
        poll(nil, 0, 1)
    }
}

/// Test options: waits as long as the tests' patience.
func patient(_ change: (inout SocketOptions) -> Void = { _ in }) -> SocketOptions {
    var options = SocketOptions()
    options.sendTimeoutMs = patienceMs
    options.receiveTimeoutMs = patienceMs
    change(&options)
    return options
}

/// Bytes that tell positions and messages apart.
func pattern(_ count: Int, seed: Int = 0) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8 &+ seed) }
}

extension RawSpan {
    var array: [UInt8] { withUnsafeBytes { Array($0) } }
}

extension Receiving where Self: ~Copyable {
    /// The next message as an array, waiting for it; `nil` when none came in time.
    mutating func next(_ buffer: inout ReceiveBuffer) throws(ZeroMQError) -> [UInt8]? {
        try receiveWaiting(into: &buffer)?.array
    }

    /// The next message as an array if one is waiting.
    mutating func now(_ buffer: inout ReceiveBuffer) throws(ZeroMQError) -> [UInt8]? {
        try receive(into: &buffer)?.array
    }
}

extension Sending where Self: ~Copyable {
    mutating func send(_ bytes: [UInt8]) throws(ZeroMQError) -> Bool { try send(bytes.span.bytes) }
    mutating func sendWaiting(_ bytes: [UInt8]) throws(ZeroMQError) -> Bool { try sendWaiting(bytes.span.bytes) }
}

extension XPublisher {
    /// Waits for the next subscription event.
    mutating func awaitSubscription() throws -> SubscriptionEvent {
        let poller = Poller(capacity: 1)
        _ = try poller.add(self)
        while true {
            if let event = try nextSubscription() { return event }
            let outcome = try poller.wait(timeoutMs: patienceMs)
            try #require(outcome != .timedOut, "no subscription came")
        }
    }
}

/// A connected pair over a fresh ipc endpoint.
final class Queue {
    let directory = TemporaryDirectory()
    let context: Context
    var push: Push
    var pull: Pull

    init(push pushOptions: SocketOptions = patient(), pull pullOptions: SocketOptions = patient()) throws {
        let context = try Context()
        var pull = try Pull(context, pullOptions)
        var push = try Push(context, pushOptions)
        let endpoint = try directory.ipc("queue")
        try pull.bind(to: endpoint)
        try push.connect(to: endpoint)
        self.context = context
        self.pull = pull
        self.push = push
    }
}
