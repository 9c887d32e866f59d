import Authority
import Wire

/// What an agent may do with approvals: the shell signs what a risk agent decides, and checks what a venue agent is told to
/// execute, so that no author can forget it and no agent touches a key. Both need the keys that the supervisor hands down
/// to these two roles only.
///
/// Pure but for the keys: what it found out travels with the message (`Message.approval`) and into the journal, so that an
/// agent decides the same when it is replayed.
final class AgentAuthority {
    private enum Part {
        case none
        case signs(Keyring?)
        case checks(Keyring?)
    }

    private let part: Part

    /// Without a role nothing is signed and nothing is asked.
    init(role: AgentRole?, keyring: Keyring?) {
        switch role {
        case .risk: part = .signs(keyring)
        case .venue: part = .checks(keyring)
        default: part = .none
        }
    }

    convenience init(_ environment: AgentEnvironment) throws {
        do {
            self.init(role: environment.role, keyring: try environment.keysDescriptor.map(Keyring.init(descriptor:)))
        } catch {
            throw AgentFailure("no order can be approved or checked: \(error)")
        }
    }

    /// What a venue's shell says of a message received at `now`.
    func verdict(on payload: Payload, at now: Instant) -> ApprovalVerdict {
        guard case .checks(let keyring) = part, case .order(let order) = payload else { return .notAsked }
        return keyring?.check(order, at: now) ?? .noKeys
    }

    /// Makes a decision ready to be sent at `now`: an approving one is signed. Where that is impossible it becomes a block,
    /// because nobody could tell it from a forged one. Everything else is left as it is.
    func prepare(_ payload: Payload, at now: Instant) -> Payload {
        guard case .signs(let keyring) = part, case .riskDecision(var decision) = payload, decision.isApproving else {
            return payload
        }
        if let approval = keyring?.sign(decision, at: now) {
            decision.approvalBytes = approval.bytes
        } else {
            decision.kind = .block
            decision.quantityE8 = 0
            decision.validForNs = 0
            decision.reasons.append(.noAuthority)
            decision.approvalBytes = []
        }
        return .riskDecision(decision)
    }

    /// Whether an agent that is replayed has sent the same as was journaled: approvals are not compared, since the keys
    /// are others by now, and a decision that could not be signed then stands for the one that was made.
    static func isSame(replayed: Payload, journaled: Payload) -> Bool {
        guard case .riskDecision(var made) = replayed, case .riskDecision(var sent) = journaled else {
            return replayed == journaled
        }
        made.approvalBytes = []
        sent.approvalBytes = []
        if made.isApproving, sent.kind == .block, sent.reasons.last == .noAuthority {
            made.kind = .block
            made.quantityE8 = 0
            made.validForNs = 0
            made.reasons.append(.noAuthority)
        }
        return made == sent
    }
}

extension RiskDecision {
    fileprivate var isApproving: Bool { kind == .approve || kind == .reduce }
}
