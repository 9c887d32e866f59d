import Delivery
import Wire

/// How far behind the consumers of a durable agent's outputs are, as the operator is told.
enum DurableBacklog: Int, Comparable {
    case small
    /// One of them is so far behind that the agent waits for it, though it else never would.
    case far
    /// As far as the agent keeps messages for.
    case saturated

    static func < (left: DurableBacklog, right: DurableBacklog) -> Bool { left.rawValue < right.rawValue }
}

/// What a durable agent does when consumers stay away: nothing that it has decided is dropped, so less is begun.
///
/// 1. *Full*: a consumer that is waited for has a window unacknowledged, or any other one `DeliveryLimits.reach`, or half
///    the bytes that may be kept are. Inputs other than feedback and commands are not read, and no turn is taken. What is under
///    way is still finished: answers (fills) come in, timers fire, commands (cancels, halts) are obeyed.
/// 2. *Saturated*: `DeliveryLimits.maxUnacked` messages or all those bytes are kept. Nothing is begun but commands.
///
/// Both are judged before an event is journaled, by what the journal restores, so that a restart changes nothing; what an
/// event gives is always numbered and sent, so that a recovery can always end.
///
/// While full, nobody waits for an answer that is not read: feedback always is, and without it the wires have no cycle. Two
/// saturated agents that each wait for the other to read would stand still, which no bounded memory without loss can avoid; they
/// still obey commands, and both say so.
extension AgentShell {
    /// Some output should be given nothing more for the moment.
    var isFull: Bool {
        outputs.contains(where: \.isFull) || (durable.map { keptBytes >= $0.keptBytesLimit / 2 } ?? false)
    }

    var isSaturated: Bool {
        guard let durable else { return false }
        return outputs.contains { $0.durable?.sender.isSaturated ?? false } || keptBytes >= durable.keptBytesLimit
    }

    private var keptBytes: Int { outputs.reduce(0) { $0 + ($1.durable?.keptBytes ?? 0) } }

    /// The next event from there would be one too many.
    func holdsBack(_ wire: InputWire) -> Bool { wire.type != .command && isSaturated }

    /// nil: as it was told last.
    private var backlog: DurableBacklog? {
        guard let durable else { return nil }
        if isSaturated { return .saturated }
        let (most, bytes, limit) = (mostUnacked, keptBytes, durable.keptBytesLimit)
        let reach = environment.deliveryLimits.reach
        if most >= reach || bytes >= limit / 2 { return .far }
        return most <= reach / 2 && bytes <= limit / 4 ? .small : nil
    }

    private var mostUnacked: UInt64 { outputs.reduce(0) { max($0, $1.durable?.sender.unacked ?? 0) } }

    private var laggard: DurableSender? {
        outputs.compactMap { $0.durable?.sender }.max { $0.unacked < $1.unacked }
    }

    /// Tells the operator once what a consumer that stays away does to this agent, and when that is over. A window that is
    /// full in passing is no news.
    func tellBacklog() {
        guard let backlog, backlog != toldBacklog, backlog > toldBacklog || backlog == .small else { return }
        toldBacklog = backlog
        guard let sender = laggard, let consumer = sender.laggard, backlog != .small else {
            return AgentLog.write(.info, "consumers have acknowledged: reading and beginning everything again")
        }
        let held =
            backlog == .far
            ? "Only commands and answers are read until it does, and nothing new is begun"
            : "That is as much as is kept: nothing but commands is read until it does"
        AgentLog.write(
            .error,
            "\(sender.output) → \(consumer.port): \(sender.unacked) messages (\(keptBytes) bytes) are not acknowledged. "
                + "\(held). See `agentctl status` for why the consumer is away; start it, or take it out of the "
                + "configuration")
    }
}
