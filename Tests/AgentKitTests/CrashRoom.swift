import Delivery
import Foundation
import Glibc
import Journal
import SwiftProtobuf
import Testing
import Wire
import ZeroMQ

@testable import AgentKit

/// A run directory for one durable agent, `Risk`, with one durable output, `out`. Its incarnations run step by step in the
/// test and end without a word, as killed ones do; its consumers are the test's.
final class CrashRoom {
    let directory: String
    /// Agents that are wired to `out` (their port is `in`), and whether they close a cycle.
    var consumers: [String: Bool] = [:]
    /// Whether there is another durable output, `extra`, wired to `Sink`; the agent sends on it with the setting `extra`.
    var hasExtra = false
    /// Inputs of the agent, one test source each (`Boss` and the same port); the value says whether it closes a cycle.
    var inputs: [String: Bool] = [:]
    var settings = "{}"
    var limits = DeliveryLimits.standard
    var journalBytes = (segment: JournalLimits.segmentBytes, total: JournalLimits.maxTotalBytes)
    var role: AgentRole?
    var keysDescriptor: Int32?
    private(set) var incarnation: UInt64 = 0

    init(directory: String? = nil) {
        var template = Array("/tmp/qp-XXXXXX".utf8CString)
        self.directory = directory ?? String(cString: mkdtemp(&template))
        for folder in ["w", "agents", "agents/Risk"] { mkdir("\(self.directory)/\(folder)", 0o700) }
    }

    deinit { try? FileManager.default.removeItem(atPath: directory) }

    var journal: String { "\(directory)/agents/Risk/journal" }

    func endpoint(_ name: String) -> String { "ipc://\(directory)/w/\(name)" }

    /// The next incarnation, made and not running.
    func start<A: DurableAgent>(_ agent: A.Type = Decider.self) throws -> AgentShell<A> {
        incarnation += 1
        let peers = consumers.keys.sorted().map { name in
            Wiring.Peer(
                port: PortID(agent: name, port: "in"), endpoint: endpoint(name), method: .connect, fd: nil,
                feedback: consumers[name]!, awaited: false)
        }
        var wiring = Wiring(
            agent: "Risk",
            ports: [
                "out": Wiring.Port(
                    direction: .output, type: "RiskDecision", delivery: .durable, socket: .push, bind: nil, peers: peers
                )
            ])
        for (name, isFeedback) in inputs {
            let peer = Wiring.Peer(
                port: PortID(agent: "Boss", port: name), endpoint: endpoint(name), method: .bind, fd: nil,
                feedback: isFeedback, awaited: false)
            unlink("\(directory)/w/\(name)")
            wiring.ports[name] = Wiring.Port(
                direction: .input, type: name == "commands" ? "Command" : "RiskDecision", delivery: .queue,
                socket: .pull, bind: Wiring.Listener(endpoint: endpoint(name), fd: nil), peers: [peer])
        }
        if hasExtra {
            wiring.ports["extra"] = wiring.ports["out"]
            wiring.ports["extra"]!.peers = [
                Wiring.Peer(
                    port: PortID(agent: "Sink", port: "in"), endpoint: endpoint("Sink"), method: .connect, fd: nil,
                    feedback: false, awaited: false)
            ]
        }
        wiring.acks = Wiring.Listener(endpoint: endpoint("acks"), fd: nil)
        unlink("\(directory)/w/acks")
        var environment = AgentEnvironment(
            name: "Risk", incarnation: incarnation, wiring: wiring, stateDirectory: "\(directory)/agents/Risk")
        environment.settings = try AgentEnvironment.settings(settings)
        environment.all = ["QP_SETTINGS": settings]
        environment.role = role
        environment.keysDescriptor = keysDescriptor
        environment.journalBytes = journalBytes
        environment.deliveryLimits = limits
        return try AgentShell<A>(environment: environment, stopRequests: NoStop(), durability: DurableSupport())
    }

    /// What the journal says was sent, in its order.
    func sent() throws -> [(header: Header, decision: RiskDecision)] {
        var reader = JournalReader(directory: journal, identity: "Risk")
        var sent: [(Header, RiskDecision)] = []
        while let record = try reader.next() {
            guard record.type == .sentFrame else { continue }
            sent.append(try record.payload.withUnsafeBytes { try Self.decision(in: $0) })
        }
        return sent
    }

    static func decision(in frame: UnsafeRawBufferPointer) throws -> (header: Header, decision: RiskDecision) {
        let header = try Header(frame: frame)
        let body = UnsafeRawBufferPointer(rebasing: frame[Header.byteCount...])
        guard
            case .riskDecision(let decision) = try Payload(
                type: header.payloadType, encoding: header.encoding, bytes: body)
        else { throw FrameError.payloadType(header.payloadType.rawValue) }
        return (header, decision)
    }

    /// Lets the agent work until the condition holds; false after a minute.
    func step<A: Agent>(
        _ shell: AgentShell<A>, with consumer: TestConsumer? = nil, until condition: () throws -> Bool
    ) throws -> Bool {
        let deadline = Clock.now() + .seconds(60)
        while try !condition() {
            guard Clock.now() < deadline, shell.failure == nil else { return false }
            _ = try shell.round(timeout: .milliseconds(1))
            try consumer?.serve()
        }
        return true
    }
}

private final class NoStop: StopRequests {
    private let pipe: [Int32]

    init() {
        var ends: [Int32] = [0, 0]
        precondition(Glibc.pipe(&ends) == 0)
        pipe = ends
    }

    deinit { for end in pipe { close(end) } }

    var descriptor: Int32 { pipe[0] }
    func isStopRequested() -> Bool { false }
}

/// What sends to one of the agent's inputs.
final class TestSource {
    private let port: String
    private let context: Context
    private var push: Push
    private var sequence: UInt64 = 0

    init(_ port: String, in room: CrashRoom) throws {
        self.port = port
        context = try Context()
        push = try Push(context)
        try push.connect(to: Endpoint(room.endpoint(port)))
    }

    func send(_ count: Int) throws {
        for _ in 0..<count {
            sequence += 1
            let payload: Payload = port == "commands" ? .command(Command()) : .riskDecision(RiskDecision())
            var frame = try payload.encoded()
            try frame.seal(
                Header(
                    payloadType: payload.type, output: OutputID(port: "Boss.\(port)"), incarnation: 1,
                    sequence: sequence, trace: TraceID(1), originAt: .zero, sentAt: .zero, payloadBytes: 0))
            // No room while the connection is being made.
            let deadline = Clock.now() + .seconds(60)
            while try !frame.bytes.withUnsafeBytes({ try push.send($0) }) {
                try #require(Clock.now() < deadline)
                usleep(1_000)
            }
        }
    }
}

/// A consumer of `Risk.out`, which acknowledges what it is sent.
final class TestConsumer {
    private(set) var received: [(header: Header, decision: RiskDecision)] = []
    private var receiver: DurableReceiver
    private let me: ConsumerID
    private let context: Context
    private var pull: AnyReceiver
    private var acks: Push
    private var buffer = ReceiveBuffer(maximumBytes: Limits.maxFrameBytes)

    init(_ name: String, in room: CrashRoom) throws {
        me = ConsumerID(port: "\(name).in")
        receiver = DurableReceiver(source: "Risk.out", port: "\(name).in", epoch: 1, restored: nil)
        context = try Context()
        var pull = try Pull(context)
        try pull.bind(to: Endpoint(room.endpoint(name)))
        self.pull = AnyReceiver(pull)
        acks = try Push(context)
        try acks.connect(to: Endpoint(room.endpoint("acks")))
    }

    func serve() throws {
        while try pull.fill(&buffer) {
            try buffer.withUnsafeBytes { frame in
                if DeliveryControl.isControl(frame) {
                    guard case .hello(let hello) = try DeliveryControl(frame: frame), hello.consumer == me else {
                        return
                    }
                    _ = try receiver.receive(hello)
                    return
                }
                let message = try CrashRoom.decision(in: frame)
                guard
                    receiver.receive(epoch: message.header.incarnation, sequence: message.header.sequence) == .take
                else { return }
                receiver.didApply(upTo: message.header.sequence)
                received.append(message)
            }
        }
        guard let owed = receiver.owed(isIdle: true) else { return }
        if try owed.frame(sentAt: Clock.now()).withUnsafeBytes({ try acks.send($0) }) { receiver.didSend(owed) }
    }
}

/// Approves something at each event: its start, each message and each timer, which with `ticks` is always due.
struct Decider: DurableAgent {
    struct State: Codable, Sendable {
        var sent = 0
        /// Messages by the place of their input, which is that of its name.
        var heard: [Int] = [0, 0, 0]
        var ballast = ""
    }

    var state = State()
    let out: OutputPort
    private let ballast: Int
    private let ticks: Bool
    private var extra: OutputPort?

    init(_ start: AgentStart) throws {
        out = try start.output("out", .riskDecision)
        if try start.settings.flag("listens", default: false) {
            for name in ["answers", "work"] { _ = try start.input(name, .riskDecision) }
            _ = try start.input("commands", .command)
        }
        ballast = try start.settings.integer("ballast", default: 0, in: 0...1_000_000)
        if try start.settings.flag("extra", default: false) { extra = try start.output("extra", .riskDecision) }
        ticks = try start.settings.flag("ticks", default: false)
    }

    mutating func handle(_ event: Event, at now: Instant, _ effects: inout Effects) {
        state.sent += 1
        if case .message(let message) = event { state.heard[message.port.index] += 1 }
        state.ballast = String(repeating: "x", count: ballast)
        let decision = RiskDecision.with {
            $0.proposalID = "p\(state.sent)"
            $0.kind = .approve
            $0.strategy = "s"
            $0.symbol = "BTCUSDT"
            $0.side = .buy
            $0.quantityE8 = 100
            $0.limitPriceE8 = 500
            $0.validForNs = 1_000_000_000
        }
        effects.send(.riskDecision(decision), on: out)
        if let extra { effects.send(.riskDecision(decision), on: extra) }
        if ticks { effects.setTimer(TimerID(1), at: now) }
    }
}
