/// What an operator asks for with `halt`, `resume` and `trading`: a trading state, why, and who says so. Checked.
public struct TradingOrder: Sendable, Hashable {
    public static let maxReasonCharacters = 256
    public static let maxNameCharacters = 128
    /// How long a request waits until everybody concerned has confirmed, unless it says otherwise.
    public static let defaultWaitSeconds = 10.0
    public static let maxWaitSeconds = 300.0

    public var state: TradingState
    public var reason: String
    /// The person; nil only where nothing is allowed that was not before.
    public var by: String?
    public var waitSeconds: Double

    public init(state: TradingState, reason: String, by: String?, waitSeconds: Double = defaultWaitSeconds) {
        self.state = state
        self.reason = reason
        self.by = by
        self.waitSeconds = waitSeconds
    }

    /// Whether it can allow what was forbidden before. HALTED and CANCEL_ONLY never do.
    public var mayLoosen: Bool { state == .active || state == .reducing }

    /// What is wrong with it, and what to do; nil when it may be carried out.
    public var problem: String? {
        guard state.word != nil else { return "an unknown trading state; known: \(TradingState.words)" }
        var missing: [String] = []
        if Self.isBlank(reason) { missing.append("a reason is missing: say in a few words why (--reason TEXT)") }
        if mayLoosen, Self.isBlank(by ?? "") {
            missing.append("a name is missing: only a named person may let trade again (--by NAME)")
        }
        guard missing.isEmpty else { return missing.joined(separator: "; ") + Self.unchanged }
        if reason.count > Self.maxReasonCharacters {
            return "a reason has at most \(Self.maxReasonCharacters) characters\(Self.unchanged)"
        }
        if let by, by.count > Self.maxNameCharacters {
            return "a name has at most \(Self.maxNameCharacters) characters\(Self.unchanged)"
        }
        if !Self.isPlain(reason) || !Self.isPlain(by ?? "") {
            return "a reason and a name are one line of text, without control characters\(Self.unchanged)"
        }
        if !(waitSeconds >= 0 && waitSeconds <= Self.maxWaitSeconds) {
            return "the wait is 0 to \(Int(Self.maxWaitSeconds)) seconds\(Self.unchanged)"
        }
        return nil
    }

    /// A kill switch does not fail for its paperwork: where nothing is let through that was not before, a missing reason is
    /// called that, and what is too long or not plain text is cut.
    public var withoutPaperwork: TradingOrder {
        guard !mayLoosen else { return self }
        var order = self
        order.reason = Self.plain(reason, Self.maxReasonCharacters)
        if Self.isBlank(order.reason) { order.reason = "no reason given" }
        order.by = by.map { Self.plain($0, Self.maxNameCharacters) }.flatMap { Self.isBlank($0) ? nil : $0 }
        return order
    }

    private static func plain(_ text: String, _ maxCharacters: Int) -> String {
        let cut = String(text.prefix(maxCharacters))
        if isPlain(cut) { return cut }
        return String(String.UnicodeScalarView(cut.unicodeScalars.map { isPlain($0) ? $0 : " " }.prefix(maxCharacters)))
    }

    private static let unchanged = "; nothing has changed"

    private static func isBlank(_ text: String) -> Bool { text.allSatisfy(\.isWhitespace) }

    /// It is shown on terminals and written into journals. The bytes are bounded too: a character can have any number of marks.
    private static func isPlain(_ text: String) -> Bool {
        text.utf8.count <= 4 * maxReasonCharacters
            && text.unicodeScalars.allSatisfy(isPlain)
    }

    private static func isPlain(_ scalar: Unicode.Scalar) -> Bool {
        scalar.value >= 0x20 && !(0x7F...0x9F).contains(scalar.value)
    }
}

extension TradingState {
    private static let named: [(state: TradingState, word: String)] = [
        (.active, "ACTIVE"), (.reducing, "REDUCING"), (.halted, "HALTED"), (.cancelOnly, "CANCEL_ONLY"),
    ]

    /// `ACTIVE`, `REDUCING`, `HALTED`, `CANCEL_ONLY`; nil for a state that this build does not know.
    public var word: String? { Self.named.first { $0.state == self }?.word }

    /// Reads `word`, also in small letters and with a hyphen.
    public init?(word: String) {
        let wanted = word.uppercased().replacing("-", with: "_")
        guard let known = Self.named.first(where: { $0.word == wanted }) else { return nil }
        self = known.state
    }

    /// As they are written on a command line.
    public static let words = "active, reducing, halted, cancel-only"
}

/// What may trade, as the agent that decides it has said (part of `status`).
public struct TradingStatus: Sendable, Hashable, Codable {
    /// The agent that holds the state, of role `risk`.
    public var agent: String
    /// As in `TradingState.word`; nil: it has never been heard of.
    public var state: String?
    /// RFC 3339, UTC: when the supervisor first heard of it; nil as `state`.
    public var since: String?
    /// Who set it: a person, an agent, or the agent itself.
    public var by: String?
    public var reason: String?
    /// The agent that runs now has said so. False: it is what held when it was last heard of.
    public var isCurrent: Bool
    /// Operators' commands that it has not applied yet.
    public var waiting: Int
    /// Consumers of the state that have not applied the last announcement.
    public var unconfirmed: [String]

    public init(
        agent: String, state: String?, since: String?, by: String?, reason: String?, isCurrent: Bool, waiting: Int,
        unconfirmed: [String]
    ) {
        self.agent = agent
        self.state = state
        self.since = since
        self.by = by
        self.reason = reason
        self.isCurrent = isCurrent
        self.waiting = waiting
        self.unconfirmed = unconfirmed
    }

    /// Keys that may have no value are written as null, so that readers find them.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(agent, forKey: .agent)
        try container.encode(state, forKey: .state)
        try container.encode(since, forKey: .since)
        try container.encode(by, forKey: .by)
        try container.encode(reason, forKey: .reason)
        try container.encode(isCurrent, forKey: .isCurrent)
        try container.encode(waiting, forKey: .waiting)
        try container.encode(unconfirmed, forKey: .unconfirmed)
    }
}

/// The result of `halt`, `resume` and `trading`: it holds everywhere. What does not is an error.
public struct TradingReport: Sendable, Hashable, Codable {
    /// One sentence for people.
    public var message: String
    /// The state that holds now, of each agent that was commanded.
    public var states: [String: String]
    /// Consumers that have applied it.
    public var confirmedBy: [String]
    /// False: it holds, and could not be written down; `message` says why.
    public var isRecorded: Bool

    public init(message: String, states: [String: String], confirmedBy: [String], isRecorded: Bool) {
        self.message = message
        self.states = states
        self.confirmedBy = confirmedBy
        self.isRecorded = isRecorded
    }
}
