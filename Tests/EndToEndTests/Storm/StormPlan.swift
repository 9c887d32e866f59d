import Foundation

/// What a storm does to the order path. The same plan makes the same choices again; not the same timing, which is the
/// machine's.
struct StormPlan {
    var seed: UInt64
    var proposals: Int
    /// `kill -9`, the supervisor included.
    var kills: Int
    /// Processes stopped, replaced and woken.
    var zombies: Int

    static var fromEnvironment: StormPlan {
        let values = ProcessInfo.processInfo.environment
        func number(_ name: String) -> Int? { values["QP_STORM_" + name].flatMap(Int.init) }
        return StormPlan(
            seed: values["QP_STORM_SEED"].flatMap(UInt64.init) ?? 1, proposals: number("PROPOSALS") ?? 1_000,
            kills: number("KILLS") ?? 25, zombies: number("ZOMBIES") ?? 2)
    }

    /// Makes the same choices again.
    var command: String {
        "make soak-orders QP_STORM_SEED=\(seed) QP_STORM_PROPOSALS=\(proposals) QP_STORM_KILLS=\(kills) "
            + "QP_STORM_ZOMBIES=\(zombies)"
    }
}

/// What was done to the processes.
struct StormTally: CustomStringConvertible {
    /// By victim.
    var kills: [String: Int] = [:]
    /// Stopped for a moment; some are replaced by the watchdog meanwhile.
    var pauses = 0
    /// By agent; all woken, fenced off and ended.
    var zombies: [String: Int] = [:]

    var killed: Int { kills.values.reduce(0, +) }
    var description: String {
        "\(killed) kills (\(Self.list(kills))), \(pauses) pauses, \(zombies.values.reduce(0, +)) zombies (\(Self.list(zombies)))"
    }

    private static func list(_ counts: [String: Int]) -> String {
        counts.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
    }
}
