import FoundationEssentials
import Supervision
import Testing

/// Seeded histories. `make test` runs a fixed number of them; `QP_SIM_SCHEDULES` says how many instead, `QP_SIM_SEED`
/// runs one again and prints it step by step.
@Suite struct FleetSimulationTests {
    static let environment = ProcessInfo.processInfo.environment
    static let schedules = environment["QP_SIM_SCHEDULES"].flatMap(Int.init) ?? 4_000
    /// Failing seeds to show before giving up.
    static let enough = 5
    static let lanes = max(1, min(ProcessInfo.processInfo.activeProcessorCount, 16))

    @Test(arguments: 0..<lanes) func everyHistoryKeepsTheRules(lane: Int) throws {
        guard Self.environment["QP_SIM_SEED"] == nil else { return }
        var found = 0
        for seed in stride(from: lane, to: Self.schedules, by: Self.lanes) {
            if let violation = FleetSimulator(seed: UInt64(seed)).run() {
                Issue.record(
                    """
                    seed \(seed): \(violation)
                    again, step by step: QP_SIM_SEED=\(seed) swift test --filter FleetSimulationTests.oneSeed
                    """)
                found += 1
                if found == Self.enough { return }
            }
        }
    }

    @Test(.enabled(if: environment["QP_SIM_SEED"] != nil, "needs QP_SIM_SEED"))
    func oneSeed() throws {
        let seed = try #require(Self.environment["QP_SIM_SEED"].flatMap(UInt64.init))
        let simulator = FleetSimulator(seed: seed)
        simulator.isTracing = true
        let violation = simulator.run()
        for line in simulator.trace { print(line) }
        #expect(violation == nil)
    }

    @Test func aSeedIsOneHistory() {
        for seed in 0..<UInt64(20) {
            let (first, second) = (FleetSimulator(seed: seed), FleetSimulator(seed: seed))
            first.isTracing = true
            second.isTracing = true
            #expect(first.run() == second.run())
            #expect(first.trace == second.trace)
        }
    }

    /// A simulator that finds nothing proves nothing: each of these defects must be found.
    @Test(arguments: Sabotage.allCases) func findsTheDefect(_ sabotage: Sabotage) {
        let isFound = (0..<UInt64(400)).contains { seed in
            FleetSimulator(seed: seed, sabotage: sabotage).run() != nil && FleetSimulator(seed: seed).run() == nil
        }
        #expect(isFound, "no history of 400 shows it")
    }
}
