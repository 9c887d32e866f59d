import Wire

/// Says when a fleet whose sources are exhausted has handled everything in flight. Pure.
///
/// Distributed termination by counting (Mattern 1987, "Algorithms for distributed termination detection", the four-counter
/// method): nobody works and as much has arrived as was sent, in two looks in a row between which no counter moved. One
/// look would not do, since counters of different processes are not read at one instant.
public struct IdleDetector: Sendable {
    /// How long messages on a stream may be missing without anything moving before they count as dropped: the last
    /// messages of a stream leave no gap that a receiver could notice.
    public static let streamGrace = Nanoseconds.milliseconds(500)
    /// The same for a queue, where it is an error.
    public static let queueGrace = Nanoseconds.seconds(5)

    public enum Verdict: Equatable, Sendable {
        case working
        /// Everything has been handled; stream messages that never arrived, by wire.
        case idle(droppedAtEnd: [String: UInt64])
        /// It will not end by itself.
        case stuck(reason: String)
    }

    private var last: (activity: FleetActivity, since: Instant)?

    public init() {}

    /// To be called now and then with a fresh look.
    public mutating func observe(_ activity: FleetActivity, at now: Instant) -> Verdict {
        if let failed = activity.agents.first(where: { $0.state == .failed }) {
            return .stuck(reason: "\(failed.name) has failed; see `agentctl status`, or its log")
        }
        guard activity.agents.contains(where: \.isSource) else {
            return .stuck(reason: "no agent has the role ingest, so nothing says when the run is over")
        }
        guard let last, last.activity == activity else {
            last = (activity, now)
            return .working
        }
        guard activity.agents.allSatisfy(\.isQuiet) else { return .working }
        return verdict(on: activity.wires.filter { $0.inFlight > 0 }, unchangedFor: now - last.since)
    }

    private func verdict(on open: [FleetActivity.Wire], unchangedFor span: Nanoseconds) -> Verdict {
        if open.isEmpty { return .idle(droppedAtEnd: [:]) }
        if let queue = open.first(where: { !$0.mayDrop }) {
            guard span >= Self.queueGrace else { return .working }
            return .stuck(
                reason: "\(queue.inFlight) messages on \(queue.name) were sent and never received; was an agent killed?"
            )
        }
        guard span >= Self.streamGrace else { return .working }
        return .idle(droppedAtEnd: Dictionary(uniqueKeysWithValues: open.map { ($0.name, $0.inFlight) }))
    }
}
