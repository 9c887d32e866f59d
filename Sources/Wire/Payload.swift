import SwiftProtobuf

/// Number of a message of the schema on the wire; never reused.
public enum PayloadType: UInt16, CaseIterable, Sendable {
    case bookUpdate = 1
    case quote = 2
    case trade = 3
    case textItem = 4
    case venueVolume = 5
    case signal = 6
    case proposal = 7
    case sizedProposal = 8
    case riskDecision = 9
    case order = 10
    case executionReport = 11
    case portfolioState = 12
    case command = 13

    /// As manifests write it: the message's name in the schema.
    public var name: String {
        switch self {
        case .bookUpdate: "BookUpdate"
        case .quote: "Quote"
        case .trade: "Trade"
        case .textItem: "TextItem"
        case .venueVolume: "VenueVolume"
        case .signal: "Signal"
        case .proposal: "Proposal"
        case .sizedProposal: "SizedProposal"
        case .riskDecision: "RiskDecision"
        case .order: "Order"
        case .executionReport: "ExecutionReport"
        case .portfolioState: "PortfolioState"
        case .command: "Command"
        }
    }

    public init?(name: String) {
        guard let type = Self.allCases.first(where: { $0.name == name }) else { return nil }
        self = type
    }
}

/// One message of the schema, whichever it is.
public enum Payload: Equatable, Sendable {
    case bookUpdate(BookUpdate)
    case quote(Quote)
    case trade(Trade)
    case textItem(TextItem)
    case venueVolume(VenueVolume)
    case signal(Signal)
    case proposal(Proposal)
    case sizedProposal(SizedProposal)
    case riskDecision(RiskDecision)
    case order(Order)
    case executionReport(ExecutionReport)
    case portfolioState(PortfolioState)
    case command(Command)

    public var type: PayloadType {
        switch self {
        case .bookUpdate: .bookUpdate
        case .quote: .quote
        case .trade: .trade
        case .textItem: .textItem
        case .venueVolume: .venueVolume
        case .signal: .signal
        case .proposal: .proposal
        case .sizedProposal: .sizedProposal
        case .riskDecision: .riskDecision
        case .order: .order
        case .executionReport: .executionReport
        case .portfolioState: .portfolioState
        case .command: .command
        }
    }

    /// The schema's message inside.
    public var message: any SwiftProtobuf.Message {
        switch self {
        case .bookUpdate(let message): message
        case .quote(let message): message
        case .trade(let message): message
        case .textItem(let message): message
        case .venueVolume(let message): message
        case .signal(let message): message
        case .proposal(let message): message
        case .sizedProposal(let message): message
        case .riskDecision(let message): message
        case .order(let message): message
        case .executionReport(let message): message
        case .portfolioState(let message): message
        case .command(let message): message
        }
    }
}
