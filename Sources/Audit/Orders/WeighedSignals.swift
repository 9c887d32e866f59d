import Wire

/// The signals that a proposal says it weighed: of each name the last one that its agent had been given for the symbol (or
/// for the whole market) when it proposed. Told by the journal of a durable agent, which has every signal in order.
struct WeighedSignals {
    /// Of signals about the whole market.
    private static let everySymbol = "*"

    let proposalID: String
    private(set) var signals: Set<MessageRecord.Identity> = []
    private var last: [Key: MessageRecord.Identity] = [:]

    private struct Key: Hashable {
        var name: String
        var symbol: String
    }

    init(proposalID: String) {
        self.proposalID = proposalID
    }

    /// Takes the messages of one journal in their order.
    mutating func add(_ record: MessageRecord) {
        switch record.message {
        case .signal(let signal) where record.reception != nil:
            last[Key(name: signal.name, symbol: signal.symbol)] = record.identity
        case .proposal(let proposal) where record.reception == nil && proposal.proposalID == proposalID:
            for name in proposal.signalNames {
                for symbol in [proposal.symbol, Self.everySymbol] {
                    if let identity = last[Key(name: name, symbol: symbol)] { signals.insert(identity) }
                }
            }
        default: break
        }
    }
}
