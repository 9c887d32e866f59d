import Wire

/// An ingest agent: it reads the world (a recording, an exchange, a simulator) and puts it on the wires at a pace.
///
/// `next` may read files; pacing, back-pressure and the end of the run are the shell's business. Make it an executable
/// with `@main struct MarketFeed: SourceMain { typealias Feed = MarketSource }`.
public protocol Source {
    init(_ start: AgentStart) throws

    /// How items are spaced.
    var pace: Pace { get }

    /// The next item, or nil when there is none and never will be. Throwing ends the agent with that reason; what can
    /// be skipped (a bad line) is skipped by the source, which says so in the item's `notes`.
    mutating func next() throws -> SourceItem?

    /// Said to the log when the source has ended; what was read, skipped and lost.
    var summary: String { get }
}

/// What a source has read.
public struct SourceItem: Sendable {
    /// When it happened in the world, Unix time in nanoseconds; drives the pace, so it should not decrease.
    public var worldTimeNs: Int64
    /// Sent in order, each as the beginning of a trace of its own.
    public var messages: [(port: OutputPort, payload: Payload)]
    /// Lines for the log, such as what was skipped.
    public var notes: [(level: LogLevel, text: String)]

    public init(
        worldTimeNs: Int64, messages: [(port: OutputPort, payload: Payload)],
        notes: [(level: LogLevel, text: String)] = []
    ) {
        self.worldTimeNs = worldTimeNs
        self.messages = messages
        self.notes = notes
    }
}

/// How a source spaces its items.
public enum Pace: Equatable, Sendable {
    /// As in the world, times `speed` (1 is as recorded).
    case asRecorded(speed: Double)
    /// As fast as the consumers take it: outputs wait instead of dropping.
    case asFastAsTaken

    /// "1x", "10x", "0.5x", or "max".
    public init(_ text: String) throws {
        if text == "max" {
            self = .asFastAsTaken
        } else if text.hasSuffix("x"), let speed = Double(text.dropLast()), speed > 0, speed <= 1e6 {
            self = .asRecorded(speed: speed)
        } else {
            throw AgentFailure(
                "pace '\(text)' is not understood: write '1x' (as recorded), '10x' (ten times as fast) or 'max' "
                    + "(as fast as the consumers take it)")
        }
    }
}

/// Says when an item is due. The first item is due at once and anchors world time to local time.
public struct Pacer: Sendable {
    public let pace: Pace
    private var anchor: (worldTimeNs: Int64, at: Instant)?

    public init(_ pace: Pace) {
        self.pace = pace
    }

    /// When an item of `worldTimeNs` is due; in the past if it is late.
    public mutating func due(worldTimeNs: Int64, now: Instant) -> Instant {
        guard case .asRecorded(let speed) = pace else { return now }
        guard let anchor else {
            self.anchor = (worldTimeNs, now)
            return now
        }
        let (elapsed, overflow) = worldTimeNs.subtractingReportingOverflow(anchor.worldTimeNs)
        return anchor.at + (overflow ? .zero : .fractionalSeconds(Double(elapsed) / speed / 1e9))
    }
}

/// Entry point for an executable whose agent is a source.
public protocol SourceMain {
    associatedtype Feed: Source
}

extension SourceMain {
    public static func main() {
        AgentProcess.run(SourceAgent<Feed>.self)
    }
}

/// A source as an agent: each turn emits what is due and asks for the next turn when the next item is.
public struct SourceAgent<Feed: Source>: Agent {
    /// Items per turn: enough to amortise the turn, few enough to keep stopping prompt.
    static var itemsPerTurn: Int { 64 }

    private var feed: Feed
    private var pacer: Pacer
    private var held: SourceItem?
    private var ended = false

    public init(_ start: AgentStart) throws {
        feed = try Feed(start)
        pacer = Pacer(feed.pace)
    }

    public mutating func handle(_ event: Event, at now: Instant, _ effects: inout Effects) {
        switch event {
        case .start: effects.requestTurn()
        case .turn: emitDue(at: now, &effects)
        case .message, .timer, .stop: break
        }
    }

    private mutating func emitDue(at now: Instant, _ effects: inout Effects) {
        for _ in 0..<Self.itemsPerTurn {
            guard let item = nextItem(&effects) else { return }
            let due = pacer.due(worldTimeNs: item.worldTimeNs, now: now)
            guard due <= now else {
                held = item
                effects.requestTurn(notBefore: due)
                return
            }
            for note in item.notes { effects.log(note.level, note.text) }
            for message in item.messages { effects.send(message.payload, on: message.port) }
        }
        effects.requestTurn()
    }

    private mutating func nextItem(_ effects: inout Effects) -> SourceItem? {
        if let item = held {
            held = nil
            return item
        }
        guard !ended else { return nil }
        do {
            if let item = try feed.next() { return item }
            effects.log(.info, feed.summary)
            effects.exhausted()
        } catch {
            effects.fail("\(error)")
        }
        ended = true
        return nil
    }
}
