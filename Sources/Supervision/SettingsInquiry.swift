import Wire

/// Who is still to be asked about its settings before a configuration is put in force, who is being asked, and what was
/// answered. Pure: the shell runs the programs and tells what they said.
///
/// Whoever does not answer in time counts as wrong: it would not come up in time either, and nobody is stopped for it.
public struct SettingsInquiry: Sendable {
    /// Agents asked at the same time: those that trade need the processors.
    public static let atOnce = 4
    /// How long one may take from its launch to its end.
    public static let answerLimit = Nanoseconds.seconds(10)
    /// How long all of them may take. Two such in a row are over before a client of `agentctl reload` gives up.
    public static let wholeLimit = Nanoseconds.seconds(120)

    /// By when everybody must have answered.
    public let deadline: Instant
    private let agents: [String]
    private var next = 0
    private var asked: Set<String> = []
    private var answers: [String: [String]] = [:]

    /// - Parameter agents: names, each once.
    public init(_ agents: [String], at now: Instant) {
        self.agents = agents
        deadline = now + Self.wholeLimit
    }

    /// Everybody has answered, or was given up.
    public var isOver: Bool { answers.count == agents.count }

    /// What is wrong, by agent, in the order they were named; those who agree are not in it.
    public var refusals: [(agent: String, problems: [String])] {
        agents.compactMap { agent in answers[agent].flatMap { $0.isEmpty ? nil : (agent, $0) } }
    }

    /// The next one to be asked now; nil: none, or enough are being asked.
    public mutating func take() -> String? {
        guard next < agents.count, asked.count < Self.atOnce, !isOver else { return nil }
        let agent = agents[next]
        next += 1
        asked.insert(agent)
        return agent
    }

    /// What it said: nothing, or what is wrong. Only the first word of one that was asked counts.
    public mutating func answer(_ agent: String, _ problems: [String]) {
        guard asked.remove(agent) != nil, answers[agent] == nil else { return }
        answers[agent] = problems
    }

    /// The time for all of them is up.
    public mutating func expire() {
        let seconds = Int(Self.wholeLimit.seconds)
        for agent in agents where answers[agent] == nil {
            answers[agent] = [
                "its settings could not be checked within the \(seconds) s that all agents have together; "
                    + "find the ones that answer slowly, or try again when the machine is less busy"
            ]
        }
        asked = []
        next = agents.count
    }
}
