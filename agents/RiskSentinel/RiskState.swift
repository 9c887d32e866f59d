import AgentKit
import Market
import Wire

extension RiskSentinel {
    /// What proposals, quotes, reports and commands have made of the gate.
    struct State: Codable, Sendable {
        var control: TradingControl
        var account = Account()
        var references = References()
        var rate = OrderRate()
        var repeats = RepeatedOrders()
        var answers = RecentAnswers<Answer>(capacity: RiskSentinel.maximumAnswers)
        var commands = RecentIDs(capacity: RiskSentinel.rememberedCommands)
        /// When the timer for releases is due; nil while there is none.
        var armedFor: Instant?
        /// The incarnation that began this state; with the count it makes ids of announcements that are unique for ever.
        let incarnation: UInt64
        var announcements: UInt64 = 0
        var announcedAt: Instant?

        init(control: TradingControl, incarnation: UInt64) {
            self.control = control
            self.incarnation = incarnation
        }
    }

    /// Version 1 had its reservations in another form, which they still read.
    static func migrate(_ bytes: [UInt8], from version: Int) throws -> State {
        guard version == 1 else { throw AgentFailure("this build reads the states of versions 1 and \(stateVersion)") }
        return try StateCoding.decode(State.self, from: bytes)
    }

    /// The one decision on a proposal.
    struct Answer: Sendable {
        var decision: RiskDecision
        /// End of an approval.
        var deadline: Instant
    }
}

extension RiskSentinel.Answer: Packable {
    /// The names of the checks are in every decision the same, and most of its bytes.
    func pack(into packer: inout Packer) {
        let isUsual = decision.checkNames == riskCheckNames
        var bare = decision
        if isUsual { bare.checkNames = [] }
        packer.append(isUsual)
        packer.append(bare)
        packer.append(deadline)
    }

    init(unpacking unpacker: inout Unpacker) throws {
        let isUsual = try unpacker.bool()
        decision = try unpacker.value()
        // Of a build with other checks, the values are kept and stay without names.
        if isUsual, decision.checkValues.count == riskCheckNames.count { decision.checkNames = riskCheckNames }
        deadline = try unpacker.instant()
    }
}
