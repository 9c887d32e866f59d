import Glibc
import Journal
import Synchronization
import SwiftProtobuf
import Testing
import Wire
import ZeroMQ

@testable import AgentKit

/// A run directory with one relay between a producer (`Feed.in`, a queue) and a consumer (`Sink.in`).
final class ShellRoom {
    let directory: String
    let context: Context
    private let output: Delivery
    private let awaited: Bool
    private let commands: Bool

    /// `commands`: with an input `z` besides, from `Boss.z`.
    init(output: Delivery, awaited: Bool = true, commands: Bool = false) throws {
        self.commands = commands
        var template = Array("/tmp/qp-XXXXXX".utf8CString)
        directory = String(cString: mkdtemp(&template))
        mkdir("\(directory)/agents", 0o700)
        mkdir("\(directory)/agents/Relay", 0o700)
        context = try Context()
        self.output = output
        self.awaited = awaited
    }

    func remove() {
        try? context.terminate(timeoutMs: 2_000)
        for file in ["in", "z", "out", "agents/Relay/stats", "agents/Relay/trace"] { unlink("\(directory)/\(file)") }
    }

    private var wiring: Wiring {
        let queue = output != .stream
        let outEndpoint = "ipc://\(directory)/out"
        var wiring = Wiring(
            agent: "Relay",
            ports: [
                "in": Wiring.Port(
                    direction: .input, type: "Signal", delivery: .queue, socket: .pull,
                    bind: Wiring.Listener(endpoint: "ipc://\(directory)/in", fd: nil),
                    peers: [
                        Wiring.Peer(
                            port: PortID(agent: "Feed", port: "in"), endpoint: "ipc://\(directory)/in", method: .bind,
                            fd: nil, feedback: false, awaited: true)
                    ]),
                "out": Wiring.Port(
                    direction: .output, type: "Signal", delivery: output, socket: queue ? .push : .xpub,
                    bind: queue ? nil : Wiring.Listener(endpoint: outEndpoint, fd: nil),
                    peers: [
                        Wiring.Peer(
                            port: PortID(agent: "Sink", port: "in"), endpoint: outEndpoint,
                            method: queue ? .connect : .bind, fd: nil, feedback: false, awaited: awaited)
                    ]),
            ])
        if commands { wiring.ports["z"] = commandPort }
        return wiring
    }

    /// Its name comes last: what is read first is not decided by names.
    private var commandPort: Wiring.Port {
        Wiring.Port(
            direction: .input, type: "Command", delivery: .queue, socket: .pull,
            bind: Wiring.Listener(endpoint: "ipc://\(directory)/z", fd: nil),
            peers: [
                Wiring.Peer(
                    port: PortID(agent: "Boss", port: "z"), endpoint: "ipc://\(directory)/z", method: .bind, fd: nil,
                    feedback: false, awaited: true)
            ])
    }

    /// Starts the relay on a thread of its own.
    func run<A: Agent>(_ agent: A.Type) -> RunningShell {
        var environment = AgentEnvironment(name: "Relay", incarnation: 4, wiring: wiring, stateDirectory: nil)
        environment.stateDirectory = "\(directory)/agents/Relay"
        return RunningShell(agent, environment)
    }

    /// The relay's inputs as a shell reads them, with a stream `a` besides.
    func inputsInOrder() throws -> [String] {
        var wiring = wiring
        wiring.ports["a"] = Wiring.Port(
            direction: .input, type: "Signal", delivery: .stream, socket: .sub, bind: nil, peers: [])
        let environment = AgentEnvironment(name: "Relay", incarnation: 4, wiring: wiring, stateDirectory: nil)
        let plan = WirePlan(wiring, agent: "Relay", registry: try environment.registry())
        let file = try StatsFile(directory: "\(directory)/agents/Relay", wires: plan.rows.count)
        let context = try Context()
        let names = try plan.open(context: context, stats: file.view, waiting: []).inputs.map(\.name)
        try context.terminate()
        return names
    }

    private var page: StatsPageView?

    func stats() throws -> StatsPageView {
        if let page { return page }
        let descriptor = open("\(directory)/agents/Relay/stats", O_RDONLY)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        let size = Int(lseek(descriptor, 0, SEEK_END))
        let start = try #require(mmap(nil, size, PROT_READ, MAP_SHARED, descriptor, 0))
        let page = StatsPageView(UnsafeMutableRawBufferPointer(start: start, count: size))
        try #require(page.isValid)
        self.page = page
        return page
    }

    // MARK: Traffic

    func producer(to input: String = "in") throws -> Push {
        var socket = try Push(context)
        try socket.connect(to: Endpoint("ipc://\(directory)/\(input)"))
        return socket
    }

    /// The Boss's n-th command.
    func command(_ sequence: UInt64) throws -> [UInt8] {
        var frame = try Payload.command(Command.with { $0.kind = .cancelOrder }).encoded()
        try frame.seal(
            Header(
                payloadType: .command, output: OutputID(port: "Boss.z"), incarnation: 2, sequence: sequence,
                trace: TraceID(sequence), originAt: Clock.now(), sentAt: Clock.now(), payloadBytes: 0))
        return frame.bytes
    }

    func pull() throws -> AnyReceiver {
        var socket = try Pull(context)
        try socket.bind(to: Endpoint("ipc://\(directory)/out"))
        return AnyReceiver(socket)
    }

    func subscriber(joins: Bool, highWaterMark: Int = 1_000) throws -> AnyReceiver {
        var options = SocketOptions()
        options.receiveHighWaterMark = highWaterMark
        var socket = try Subscriber(context, options)
        try socket.subscribe(to: [])
        if joins { try socket.subscribe(to: JoinTopic.bytes(for: "Sink.in")) }
        try socket.connect(to: Endpoint("ipc://\(directory)/out"))
        return AnyReceiver(socket)
    }

    func payload(_ number: UInt64) -> Payload {
        .signal(Signal.with { $0.value = Double(number) })
    }

    func frame(
        _ sequence: UInt64, incarnation: UInt64 = 2, from port: String = "Feed.in", originAt: Int64 = 1,
        encoding: Encoding = .protobuf
    ) throws -> [UInt8] {
        var frame = try payload(sequence).encoded(as: encoding)
        try frame.seal(
            Header(
                encoding: encoding, payloadType: .signal, output: OutputID(port: port), incarnation: incarnation,
                sequence: sequence, trace: TraceID(sequence * 10), originAt: Instant(nanoseconds: originAt),
                sentAt: Clock.now(), payloadBytes: 0))
        return frame.bytes
    }

    /// False when nobody has taken it within `waitMs`.
    func send(_ bytes: [UInt8], on socket: inout Push, waitMs: Int64 = 60_000) throws -> Bool {
        let deadline = Clock.now() + .milliseconds(waitMs)
        let poller = Poller(capacity: 1)
        _ = try poller.add(socket, for: .writable)
        while try !bytes.withUnsafeBytes({ try socket.send($0) }) {
            let left = deadline - Clock.now()
            guard left > .zero else { return false }
            _ = try poller.wait(timeoutNs: left.count)
        }
        return true
    }

    func receive(_ socket: inout AnyReceiver) throws -> (header: Header, payload: Payload) {
        var buffer = ReceiveBuffer()
        let deadline = Clock.now() + .seconds(60)
        let poller = Poller(capacity: 1)
        _ = try poller.add(socket)
        while try !socket.fill(&buffer) {
            let left = deadline - Clock.now()
            try #require(left > .zero, "no message within 60 s")
            _ = try poller.wait(timeoutNs: left.count)
        }
        return try buffer.withUnsafeBytes { frame in
            let header = try Header(frame: frame)
            let body = UnsafeRawBufferPointer(rebasing: frame[Header.byteCount...])
            return (header, try Payload(type: header.payloadType, encoding: header.encoding, bytes: body))
        }
    }

    /// Polls a condition that has no event to wait for.
    func waitUntil(_ condition: () throws -> Bool) throws {
        let deadline = Clock.now() + .seconds(60)
        while try !condition() {
            try #require(Clock.now() < deadline, "the condition did not come true within 60 s")
            sched_yield()
        }
    }
}

/// A shell on its own thread, and the way to stop it.
final class RunningShell: @unchecked Sendable {
    /// Longer than any shell takes to end, with what it waits for on the way.
    static let endSeconds: Int32 = 60

    private let pipe: StopPipe
    private let ended = StopPipe()
    private var thread = pthread_t()
    private let name: String
    private let isAskedToStop = Mutex(false)
    private let outcome = Mutex<String?>(nil)

    init<A: Agent>(
        _ agent: A.Type, _ environment: AgentEnvironment, durability: DurableSupport<A>? = nil,
        system: JournalSystem = JournalSystem()
    ) {
        let pipe = StopPipe()
        self.pipe = pipe
        name = environment.name
        let work = Work { [self] in
            defer { ended.request() }
            do {
                try AgentShell<A>(
                    environment: environment, stopRequests: pipe, durability: durability, system: system
                ).run()
            } catch {
                AgentLog.write(.error, "\(error)")
                outcome.withLock { $0 = "\(error)" }
            }
        }
        pthread_create(
            &thread, nil,
            { argument in
                Unmanaged<Work>.fromOpaque(argument!).takeRetainedValue().body()
                return nil
            }, Unmanaged.passRetained(work).toOpaque())
    }

    func requestStop() {
        isAskedToStop.withLock { $0 = true }
        pipe.request()
    }

    /// Why the shell failed; nil if it ended well. One that does not end fails the test, and is left alone.
    func join(within seconds: Int32 = endSeconds, _ location: SourceLocation = #_sourceLocation) -> String? {
        var end = pollfd(fd: ended.descriptor, events: Int16(POLLIN), revents: 0)
        var result = poll(&end, 1, seconds * 1_000)
        while result == -1, errno == EINTR { result = poll(&end, 1, seconds * 1_000) }
        guard result > 0 else {
            let why = isAskedToStop.withLock { $0 } ? "it was asked to stop" : "nobody has asked it to stop"
            let problem = "the shell of \(name) has not ended within \(seconds) s (\(why))"
            Issue.record("\(problem)", sourceLocation: location)
            return problem
        }
        pthread_join(thread, nil)
        return outcome.withLock { $0 }
    }

    func stop(_ location: SourceLocation = #_sourceLocation) -> String? {
        requestStop()
        return join(location)
    }

    private final class Work {
        let body: () -> Void
        init(_ body: @escaping () -> Void) { self.body = body }
    }
}

private final class StopPipe: StopRequests, @unchecked Sendable {
    let descriptor: Int32
    private let writeEnd: Int32

    init() {
        var ends: [Int32] = [0, 0]
        precondition(pipe(&ends) == 0)
        (descriptor, writeEnd) = (ends[0], ends[1])
    }

    deinit {
        close(descriptor)
        close(writeEnd)
    }

    func request() { _ = write(writeEnd, "x", 1) }

    func isStopRequested() -> Bool {
        var byte: UInt8 = 0
        return read(descriptor, &byte, 1) > 0
    }
}
