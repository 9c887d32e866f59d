import Wire

/// Why an agent is failed and what brings it back, in one sentence. Pure.
public enum Plight {
    /// - Parameters:
    ///   - trouble: what its last end, or attempt to start, was: "exited with code 3 after 0.2 s: no book".
    ///   - restart: what its manifest asks for.
    public static func sentence(
        _ agent: AgentID, _ reason: FailureReason, trouble: String?, restart: RestartSettings
    ) -> String {
        let start = "`agentctl start \(agent)`"
        let last = trouble.map { "\($0); " } ?? ""
        switch reason {
        case .tooManyRestarts:
            let count = restart.intensity.restarts
            guard count > 0 else {
                return "\(last)given up at once, as its restart.intensity allows no restart; \(start) tries again"
            }
            let span = plain(Double(restart.intensity.windowMs) / 1_000)
            let restarts = "\(count) \(count == 1 ? "restart" : "restarts")"
            return "\(last)given up after \(restarts) within \(span) s; \(start) tries again"
        case .tooManyGroupRestarts:
            return "\(last)given up because its pipeline restarted more often than its intensity allows; "
                + "\(start) tries again"
        case .rejectedConfiguration:
            return "\(last)not tried again, because code 78 says that its configuration is wrong and the next start "
                + "would end the same way; correct it, then `agentctl reload` or \(start)"
        case .cannotExecute:
            return "\(trouble ?? "its program can't be executed"); it is tried again by a reload or \(start)"
        case .survivors:
            return "\(last)nothing is started over processes that survive SIGKILL; "
                + "`agentctl stop \(agent)` tries again to end them"
        case .misconfigured:
            return "\(trouble ?? "its configuration has errors, which `supervisor --check` tells"); correct it, then "
                + "`agentctl reload`"
        }
    }

    /// Of one that is stopped because `culprit`, a member of its group, was given up.
    public static func sentence(_ agent: AgentID, downWith culprit: AgentID) -> String {
        "stopped because \(culprit), a member of its group, was given up; `agentctl start \(culprit)` brings both back, "
            + "`agentctl start \(agent)` this one alone"
    }

    /// 5 and not 5.0.
    private static func plain(_ value: Double) -> String { Int(exactly: value).map { "\($0)" } ?? "\(value)" }
}
