import Delivery
import Foundation
import Glibc
import Journal
import Synchronization
import SwiftProtobuf
import Testing
import Wire
import ZeroMQ

@testable import AgentKit

/// The flush of a journal in the test's hand: it can be held up, and made to fail.
final class FlushGate: Sendable {
    private struct State {
        var isClosed = false
        var begun = 0
        var code: Int32 = 0
    }

    private let state = Mutex(State())

    var system: JournalSystem { JournalSystem(sync: { [self] in flush($0) }) }

    /// Flushes begun so far.
    var begun: Int { state.withLock { $0.begun } }

    func close() { state.withLock { $0.isClosed = true } }

    func open() { state.withLock { $0.isClosed = false } }

    /// From now on every flush fails with this errno.
    func fail(_ code: Int32) { state.withLock { $0.code = code } }

    private func flush(_ file: Int32) -> Int32 {
        state.withLock { $0.begun += 1 }
        let deadline = Clock.now() + .seconds(60)
        while state.withLock({ $0.isClosed }), Clock.now() < deadline { usleep(200) }
        let code = state.withLock { $0.code }
        guard code == 0 else { return code }
        return fdatasync(file) == 0 ? 0 : errno
    }
}

/// Says on a durable, a queue and a stream output what comes on its durable input, and -1 on the durable one at its end.
struct Crier: DurableAgent {
    struct State: Codable, Sendable { var heard: UInt64 = 0 }

    var state = State()
    private let outputs: [OutputPort]

    init(_ start: AgentStart) throws {
        outputs = try ["kept", "loose", "ticks"].map { try start.output($0, .signal) }
    }

    mutating func handle(_ event: Event, at now: Instant, _ effects: inout Effects) {
        switch event {
        case .message(let message):
            state.heard += 1
            for output in outputs { effects.send(message.payload, on: output) }
        case .stop: effects.send(.signal(Signal.with { $0.value = -1 }), on: outputs[0])
        case .start, .timer, .turn: break
        }
    }
}

/// A `Crier` with durability `power` on a thread of its own; the test is its producer and all its consumers.
final class PowerRoom {
    let room: ShellRoom
    let gate = FlushGate()
    private var incarnation: UInt64 = 0
    private var input: Push
    private var positions: AnyReceiver
    private(set) var sender = DurableSender(
        output: "Feed.out", epoch: 1, consumers: [.init(port: "Crier.in")], restored: nil, at: Clock.now())
    var kept: AnyReceiver
    var loose: AnyReceiver
    private var acks: Push
    private var keeper = DurableReceiver(source: "Crier.kept", port: "Keeper.in", epoch: 1, restored: nil)
    var ticks: AnyReceiver

    init() throws {
        let room = try ShellRoom(output: .queue)
        self.room = room
        let folder = room.directory
        mkdir("\(folder)/agents/Crier", 0o700)
        func pull(_ name: String) throws -> AnyReceiver {
            var socket = try Pull(room.context)
            try socket.bind(to: Endpoint("ipc://\(folder)/\(name)"))
            return AnyReceiver(socket)
        }
        positions = try pull("positions")
        kept = try pull("kept")
        loose = try pull("loose")
        var options = SocketOptions()
        options.immediate = true
        input = try Push(room.context, options)
        acks = try Push(room.context, options)
        var subscriber = try Subscriber(room.context)
        try subscriber.subscribe(to: [])
        try subscriber.subscribe(to: JoinTopic.bytes(for: "Watcher.in"))
        try subscriber.connect(to: Endpoint("ipc://\(folder)/ticks"))
        ticks = AnyReceiver(subscriber)
        try input.connect(to: Endpoint("ipc://\(folder)/in"))
        try acks.connect(to: Endpoint("ipc://\(folder)/acks"))
    }

    func remove() {
        try? room.context.terminate(timeoutMs: 1)
        try? FileManager.default.removeItem(atPath: room.directory)
    }

    /// One that the test played.
    func skipIncarnation() { incarnation += 1 }

    /// Starts the agent, with both its neighbours there.
    func begin() throws -> RunningShell {
        let shell = try start()
        try keepUp()
        try greet()
        return shell
    }

    func start() throws -> RunningShell {
        incarnation += 1
        for name in ["in", "acks", "ticks"] { unlink("\(room.directory)/\(name)") }
        var environment = AgentEnvironment(
            name: "Crier", incarnation: incarnation, wiring: wiring,
            stateDirectory: "\(room.directory)/agents/Crier")
        environment.all = ["QP_SETTINGS": ""]
        return RunningShell(Crier.self, environment, durability: DurableSupport(), system: gate.system)
    }

    private var wiring: Wiring {
        func endpoint(_ name: String) -> String { "ipc://\(room.directory)/\(name)" }
        func peer(_ agent: String, _ port: String, _ name: String, _ method: Wiring.Method) -> Wiring.Peer {
            Wiring.Peer(
                port: PortID(agent: agent, port: port), endpoint: endpoint(name), method: method, fd: nil,
                feedback: false,
                // A subscriber renews its subscription only when it is looked at.
                awaited: agent != "Watcher" || incarnation == 1, acks: agent == "Feed" ? endpoint("positions") : nil)
        }
        var wiring = Wiring(
            agent: "Crier",
            ports: [
                "in": Wiring.Port(
                    direction: .input, type: "Signal", delivery: .durable, socket: .pull,
                    bind: Wiring.Listener(endpoint: endpoint("in"), fd: nil),
                    peers: [peer("Feed", "out", "in", .bind)], durability: .power),
                "kept": Wiring.Port(
                    direction: .output, type: "Signal", delivery: .durable, socket: .push, bind: nil,
                    peers: [peer("Keeper", "in", "kept", .connect)]),
                "loose": Wiring.Port(
                    direction: .output, type: "Signal", delivery: .queue, socket: .push, bind: nil,
                    peers: [peer("Sink", "in", "loose", .connect)]),
                "ticks": Wiring.Port(
                    direction: .output, type: "Signal", delivery: .stream, socket: .xpub,
                    bind: Wiring.Listener(endpoint: endpoint("ticks"), fd: nil),
                    peers: [peer("Watcher", "in", "ticks", .bind)]),
            ])
        wiring.acks = Wiring.Listener(endpoint: endpoint("acks"), fd: nil)
        return wiring
    }

    // MARK: The feed

    /// Says Hello and hears where the agent stands.
    func greet() throws {
        try sayHello()
        while !isOpen { try hearPosition() }
    }

    /// The agent has heard this feed's Hello.
    private(set) var isOpen = false
    /// What the agent has acknowledged.
    var acked: UInt64 { sender.last - sender.unacked }

    /// Waits for the next thing that the agent says of its input.
    func hearPosition() throws {
        let bytes = try #require(try frame(&positions, waitMs: 60_000), "the agent says nothing of its input")
        let control = try bytes.withUnsafeBytes { try DeliveryControl(frame: $0) }
        if case .position(let report, _) = control, report.senderEpoch == sender.epoch { isOpen = true }
        _ = try sender.receive(control, at: Clock.now())
    }

    /// The agent has said nothing of its input.
    func saysNothingOfItsInput() throws -> Bool { try frame(&positions, waitMs: 0) == nil }

    func send(_ count: Int) throws {
        for _ in 0..<count {
            let sequence = sender.append(at: Clock.now())
            sender.didJournal(upTo: sequence)
            try sendRaw(frame(sequence))
            sender.didSend(upTo: sequence, to: 0)
        }
    }

    /// The feed's message `sequence`.
    func frame(_ sequence: UInt64) throws -> [UInt8] {
        var frame = try room.payload(sequence).encoded()
        try frame.seal(
            Header(
                payloadType: .signal, output: sender.id, incarnation: sender.epoch, sequence: sequence,
                trace: TraceID(sequence), originAt: Clock.now(), sentAt: Clock.now(), payloadBytes: 0))
        return frame.bytes
    }

    /// Anything on the input.
    func sendRaw(_ bytes: [UInt8]) throws {
        #expect(try room.send(bytes, on: &input))
    }

    /// The feed is replaced by its next incarnation, which says Hello at once.
    func replaceFeed() throws {
        sender = DurableSender(
            output: "Feed.out", epoch: sender.epoch + 1, consumers: [.init(port: "Crier.in")], restored: sender.state,
            at: Clock.now())
        isOpen = false
        try sayHello()
    }

    private func sayHello() throws {
        let hello = DeliveryControl.hello(try #require(sender.hello(for: 0)))
        try sendRaw(hello.frame(sentAt: Clock.now()))
        sender.didSendHello(to: 0, at: Clock.now())
    }

    // MARK: The keeper

    /// Hears the Hello of the incarnation that runs, and answers it.
    func keepUp() throws {
        while true {
            let bytes = try #require(try frame(&kept, waitMs: 60_000), "the agent says no Hello")
            // What an earlier incarnation had said may still be here.
            guard case .hello(let hello)? = try? bytes.withUnsafeBytes({ try DeliveryControl(frame: $0) }),
                hello.epoch == incarnation
            else { continue }
            _ = try keeper.receive(hello)
            let control = try #require(keeper.owed(isIdle: true))
            try sayRaw(control.frame(sentAt: Clock.now()))
            return keeper.didSend(control)
        }
    }

    /// Anything on the acks wire.
    func sayRaw(_ bytes: [UInt8]) throws {
        #expect(try room.send(bytes, on: &acks))
    }

    /// The keeper asks for everything that it has not taken (it takes nothing by itself).
    func askAgain() throws {
        let report = DeliveryReport(
            output: OutputID(port: "Crier.kept"), consumer: ConsumerID(port: "Keeper.in"), epoch: 1,
            senderEpoch: incarnation, applied: 0)
        try sayRaw(DeliveryControl.position(report, resend: true).frame(sentAt: Clock.now()))
    }

    var journal: String { "\(room.directory)/agents/Crier/journal" }

    // MARK: Frames

    /// Waits until the agent asks its feed to send again.
    func awaitAsking() throws {
        while true {
            let bytes = try #require(try frame(&positions, waitMs: 60_000), "not asked for again within 60 s")
            let control = try bytes.withUnsafeBytes { try DeliveryControl(frame: $0) }
            if case .position(_, resend: true) = control { return }
        }
    }

    /// The next frame within `waitMs`; nil if there is none.
    func frame(_ socket: inout AnyReceiver, waitMs: Int64) throws -> [UInt8]? {
        var buffer = ReceiveBuffer()
        let deadline = Clock.now() + .milliseconds(waitMs)
        let poller = Poller(capacity: 1)
        _ = try poller.add(socket)
        while try !socket.fill(&buffer) {
            let left = deadline - Clock.now()
            guard left > .zero else { return nil }
            _ = try poller.wait(timeoutNs: left.count)
        }
        return buffer.withUnsafeBytes { Array($0) }
    }

    /// The value of the next message on an output. A Hello that is said again meanwhile is none.
    func value(_ socket: inout AnyReceiver) throws -> Double {
        while true {
            let bytes = try #require(try frame(&socket, waitMs: 60_000), "no message within 60 s")
            let payload = try bytes.withUnsafeBytes { frame -> Payload? in
                if DeliveryControl.isControl(frame) { return nil }
                let header = try Header(frame: frame)
                let body = UnsafeRawBufferPointer(rebasing: frame[Header.byteCount...])
                return try Payload(type: header.payloadType, encoding: header.encoding, bytes: body)
            }
            if case .signal(let signal) = payload { return signal.value }
        }
    }
}
