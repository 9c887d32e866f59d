import Wire

/// A request for a trading state on its way to being true everywhere: who has applied it, who has not. Pure.
struct TradingWait {
    /// An agent that was commanded, and how far it is.
    struct Part: Equatable {
        var agent: String
        /// The command that it must have applied.
        var command: String
        var isApplied = false
        /// The announcement that carries the state, by consumer; nil until the agent's counters have been seen after it applied.
        var target: [String: UInt64]?
        var confirmedBy: Set<String> = []
    }

    /// One consumer of an agent's announcements, as the agent's counters have it. A durable wire's numbers go on over all
    /// incarnations of both ends, and a consumer acknowledges when `handle` has returned.
    struct Consumer: Equatable {
        var agent: String
        var isDurable: Bool
        var sent: UInt64
        var acked: UInt64
    }

    /// What is known of one agent now.
    struct Facts {
        var isApplied: Bool
        var news: TradingNews?
        var isNewsCurrent: Bool
        /// nil: it has no counters (it does not run).
        var consumers: [Consumer]?
    }

    enum Verdict: Equatable {
        case waiting
        case confirmed
        /// Applied, and the agent holds another state: it refused, or somebody was stricter.
        case overruled(agent: String, TradingNews)
    }

    let wanted: TradingState
    private(set) var parts: [Part]

    init(_ wanted: TradingState, _ commands: [OperatorCommand]) {
        self.wanted = wanted
        parts = commands.map { Part(agent: $0.agent, command: $0.id) }
    }

    /// Looks at one agent after the other. Confirmed once, a consumer stays so.
    mutating func look(_ facts: (Part) -> Facts) -> Verdict {
        var isDone = true
        for index in parts.indices {
            let facts = facts(parts[index])
            parts[index].isApplied = parts[index].isApplied || facts.isApplied
            guard parts[index].isApplied else {
                isDone = false
                continue
            }
            // An agent that never tells is believed by what it applies.
            if let news = facts.news {
                guard facts.isNewsCurrent else {
                    isDone = false
                    continue
                }
                guard news.fulfils(wanted) else { return .overruled(agent: parts[index].agent, news) }
            }
            guard let consumers = facts.consumers else {
                isDone = false
                continue
            }
            let target =
                parts[index].target
                ?? Dictionary(consumers.map { ($0.agent, $0.sent) }, uniquingKeysWith: { max($0, $1) })
            parts[index].target = target
            for consumer in consumers {
                if consumer.isDurable, consumer.acked >= target[consumer.agent] ?? consumer.sent {
                    parts[index].confirmedBy.insert(consumer.agent)
                } else if !parts[index].confirmedBy.contains(consumer.agent) {
                    isDone = false
                }
            }
        }
        return isDone ? .confirmed : .waiting
    }

    var confirmedBy: [String] { Set(parts.flatMap(\.confirmedBy)).sorted() }
    var notApplied: [String] { parts.filter { !$0.isApplied }.map(\.agent) }

    /// Consumers that have not applied it, of agents that have.
    func unconfirmed(_ consumers: (String) -> [Consumer]?) -> [String] {
        let missing = parts.filter(\.isApplied).flatMap { part in
            let known = part.target.map { Array($0.keys) } ?? (consumers(part.agent) ?? []).map(\.agent)
            return known.filter { !part.confirmedBy.contains($0) }
        }
        return Set(missing).sorted()
    }
}
