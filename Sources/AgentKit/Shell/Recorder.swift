import Journal
import Wire

/// What the shell writes down, for whoever asks later what happened: every message sent on a queue goes to the agent's
/// journal before it is handed to the wire; every message received goes to a ring of the most recent ones. Both survive
/// `kill -9`, the ring but for its last batch. Without a run directory nothing is written.
final class Recorder {
    private let journal: JournalWriter?
    private let ring: TraceRing?

    /// `edges` are the receiving wires, in the order of their indices.
    init(environment: AgentEnvironment, edges: [String], writesOrders: Bool) throws {
        guard let directory = environment.stateDirectory else {
            journal = nil
            ring = nil
            return
        }
        do {
            journal =
                writesOrders
                ? try JournalWriter(
                    directory: "\(directory)/journal", identity: environment.name, epoch: environment.incarnation)
                : nil
            ring =
                edges.isEmpty
                ? nil
                : try TraceRing(
                    path: "\(directory)/\(TraceRing.fileName)", agent: environment.name,
                    incarnation: environment.incarnation, edges: edges)
        } catch {
            throw AgentFailure(of: error)
        }
    }

    /// Before the frame is handed to a queue wire. Throws when it cannot be written: then it must not be sent either.
    func sent(_ frame: Frame) throws {
        guard let journal else { return }
        do {
            _ = try frame.bytes.withUnsafeBytes { try journal.append(.sentFrame, $0) }
        } catch {
            throw AgentFailure(of: error)
        }
    }

    /// After the agent has handled it.
    func received(_ frame: UnsafeRawBufferPointer, edge: UInt32, receivedAt: Instant) {
        ring?.received(frame: frame, edge: Int(edge), receivedAt: receivedAt, handledAt: Clock.now())
    }

    /// Called whenever the shell is about to wait.
    func flush() {
        ring?.flush()
        journal?.prepareAhead()
    }

    func close() {
        ring?.flush()
        try? journal?.close()
    }
}
