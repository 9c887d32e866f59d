import Foundation
import Supervision
import Wire

/// What `supervisor --check` says of a configuration that could be read, beyond the errors of its files: whether the
/// fleet can be ordered, and what the agents themselves say of their settings.
public enum PlanCheck {
    /// Why the fleet as a whole can't run; empty when it can.
    public static func fleetErrors(_ plan: Wire.FleetPlan) -> [String] {
        do {
            _ = try FleetSpec.reading(plan) { _ in 0 }
            return []
        } catch {
            return error.problems.map { "\(plan.configuration.file): pipelines: \($0)" }
        }
    }

    /// Every error of a configuration that has some which concern the whole: those that were found by reading, and what agents say of
    /// their settings whom none of these concerns.
    ///
    /// - Parameter plan: what could be read; nil: nothing.
    public static func errors(
        _ plan: Wire.FleetPlan?, fatal: [ConfigurationError], found: [ConfigurationError]
    ) -> [String] {
        let asked = plan.map { plan in
            plan.unconcerned(by: fatal).flatMap { SettingsProbe.errors(of: $0, in: plan) }
        }
        return (fatal + found).map(\.description) + (asked ?? [])
    }

    /// Errors of single agents: those found by reading, then those that agents built on AgentKit find when they are made.
    /// Runs each such program for at most ``SettingsInquiry/answerLimit``.
    public static func agentErrors(_ plan: Wire.FleetPlan) -> [String] {
        plan.agentErrors.map(\.description)
            + plan.agents.filter(\.errors.isEmpty).flatMap { SettingsProbe.errors(of: $0, in: plan) }
    }
}
