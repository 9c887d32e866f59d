import Wire

/// Why a venue agent refuses an order; the raw value stands in the report's `reason`.
public enum Refusal: String, Error, CaseIterable, Sendable {
    case invalidName = "order id or proposal id is empty, or a name is too long"
    case unknownSymbol = "unknown symbol"
    case unknownSide = "unknown side"
    case unknownType = "unknown order type or time in force"
    case invalidPrice = "price is not positive or not on a tick"
    case invalidQuantity = "quantity is not positive or not on a lot"
    case belowMinimum = "value is below the instrument's minimum"
    case notApproved = "no approving risk decision"
    case otherDecision = "the risk decision is for another proposal, strategy, symbol or side"
    case changedDecision = "another risk decision was given for this proposal before"
    case beyondBound = "price is beyond the approved bound"
    case beyondQuantity = "more than the approved quantity in total"
    case expired = "expired"
    case beyondValidity = "valid for longer than its approval"
    case noBook = "no current book"
    case crossedBook = "the book is crossed"
    case tooManyOrders = "too many open orders"
    case tooManyApprovals =
        "all approvals that can be remembered until they expire are in use; lower maxValidMs or maxOrders of the risk agent"
    case forgotten = "the venue began anew and does not know what was used of this approval"
    case overflow = "arithmetic overflow"
    case halted = "trading is halted"
    case reducingOnly = "only orders that bring the position nearer to 0 are taken"

    // What the agent's shell found out about the approval (`ApprovalVerdict`), in its words.
    case approvalNotChecked = "the approval was not checked"
    case approvalMissing = "no approval"
    case approvalMalformed = "the approval is malformed"
    case approvalKeyUnknown = "the approval's key is unknown"
    case approvalKeyExpired = "the approval's key has expired"
    case approvalForged = "the approval is forged or altered"
    case approvalExpired = "the approval has expired"
    case noKeys = "this agent holds no keys to check approvals with"

    /// Nil for a valid approval.
    public init?(_ verdict: ApprovalVerdict) {
        switch verdict {
        case .valid: return nil
        case .notAsked: self = .approvalNotChecked
        case .missing: self = .approvalMissing
        case .malformed: self = .approvalMalformed
        case .unknownKey: self = .approvalKeyUnknown
        case .expiredKey: self = .approvalKeyExpired
        case .forged: self = .approvalForged
        case .expired: self = .approvalExpired
        case .noKeys: self = .noKeys
        }
    }
}
