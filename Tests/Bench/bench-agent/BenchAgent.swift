import AgentKit
import Wire

/// One station of the measured chain source → relays → sink; `settings.part` says which. Messages are 200 bytes on the
/// wire, as in the bare chain beside which this is measured.
///
/// It keeps no state that would outlive it: durable wires are measured with it, not recovered.
@main struct BenchAgent: DurableAgent {
    struct State: Codable, Sendable {}

    var state: State {
        get { State() }
        set {}
    }

    private enum Part {
        case source(BenchSource)
        case relay(OutputPort)
        case sink(BenchSink)
    }

    private var part: Part

    init(_ start: AgentStart) throws {
        switch try start.settings.choice("part", default: "relay", of: ["source", "relay", "sink"]) {
        case "source": part = .source(try BenchSource(start))
        case "sink": part = .sink(try BenchSink(start))
        default: part = .relay(try start.output("out", .textItem))
        }
    }

    mutating func handle(_ event: Event, at now: Instant, _ effects: inout Effects) {
        switch part {
        case .source(var source):
            source.handle(event, at: now, &effects)
            part = .source(source)
        case .relay(let out):
            if case .message(let message) = event { effects.send(message.payload, on: out) }
        case .sink(let sink):
            if case .message(let message) = event { sink.receive(message.payload, at: now, &effects) }
        }
    }
}

/// Sends `count` messages: at `ratePerSecond` on an absolute schedule (open loop), or as fast as they are taken (0).
struct BenchSource {
    /// Bytes of text that make a frame of 200 bytes with header, tags and time stamp.
    static let textBytes = 124
    static let messagesPerTurn = 64

    private let out: OutputPort
    private let interval: Nanoseconds
    private let count: Int
    private var sent = 0
    private var firstAt: Instant?
    private var item = TextItem()

    init(_ start: AgentStart) throws {
        out = try start.output("out", .textItem)
        count = try start.settings.integer("count", default: 1_000, in: 1...100_000_000)
        let rate = try start.settings.integer("ratePerSecond", default: 1_000, in: 0...1_000_000)
        interval = Nanoseconds(rate == 0 ? 0 : 1_000_000_000 / Int64(rate))
        item.text = String(repeating: "x", count: Self.textBytes)
    }

    mutating func handle(_ event: Event, at now: Instant, _ effects: inout Effects) {
        switch event {
        case .start: effects.requestTurn()
        case .turn: send(at: now, &effects)
        case .message, .timer, .stop: break
        }
    }

    private mutating func send(at now: Instant, _ effects: inout Effects) {
        let first = firstAt ?? now
        firstAt = first
        for _ in 0..<Self.messagesPerTurn {
            guard sent < count else { return effects.exhausted() }
            let due = interval == .zero ? now : first + Nanoseconds(interval.count * Int64(sent))
            guard due <= now else { return effects.requestTurn(notBefore: due) }
            // From the intended time, so that a late sender counts against the chain (no coordinated omission).
            item.publishedTimeNs = due.nanoseconds
            effects.send(.textItem(item), on: out)
            sent += 1
        }
        effects.requestTurn()
    }
}

/// Measures each message from its intended send time; after the last of `count` one line in the log: `RESULT {…}`.
final class BenchSink {
    private let count: Int
    private let warmUp: Int
    private var latencies: [Int64] = []
    private var received = 0
    private var firstAt = Instant.zero

    init(_ start: AgentStart) throws {
        count = try start.settings.integer("count", default: 1_000, in: 1...100_000_000)
        // The first tenth is warm-up and not counted.
        warmUp = count / 10
        latencies.reserveCapacity(count - warmUp)
    }

    func receive(_ payload: Payload, at now: Instant, _ effects: inout Effects) {
        guard case .textItem(let item) = payload else { return }
        if received == warmUp { firstAt = now }
        if received >= warmUp { latencies.append(now.nanoseconds - item.publishedTimeNs) }
        received += 1
        guard received == count else { return }
        latencies.sort()
        let seconds = (now - firstAt).seconds
        effects.log(
            .info,
            """
            RESULT {"p50_us":\(microseconds(0.5)),"p99_us":\(microseconds(0.99)),"p999_us":\(microseconds(0.999)),\
            "max_us":\(microseconds(1)),"messages_per_second":\(Int(Double(latencies.count) / max(seconds, 1e-9)))}
            """)
    }

    private func microseconds(_ quantile: Double) -> Double {
        let rank = max(1, Int((quantile * Double(latencies.count)).rounded(.up)))
        return Double(latencies[rank - 1] / 100) / 10
    }
}
