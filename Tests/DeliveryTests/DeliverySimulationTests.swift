import FoundationEssentials
import Testing

/// Seeded histories. `make test` runs a fixed number of them; `QP_SIM_SCHEDULES` says how many instead, `QP_SIM_SEED`
/// runs one again and prints it step by step.
@Suite struct DeliverySimulationTests {
    static let environment = ProcessInfo.processInfo.environment
    static let schedules = environment["QP_SIM_SCHEDULES"].flatMap(Int.init) ?? 1_000
    /// Failing seeds to show before giving up.
    static let enough = 5
    static let lanes = max(1, min(ProcessInfo.processInfo.activeProcessorCount, 16))

    @Test(arguments: 0..<lanes) func everyHistoryKeepsTheRules(lane: Int) throws {
        guard Self.environment["QP_SIM_SEED"] == nil else { return }
        var found = 0
        var (steps, closed, count) = (0, 0, 0)
        for seed in stride(from: lane, to: Self.schedules, by: Self.lanes) {
            let simulator = DeliverySimulator(seed: UInt64(seed))
            if let violation = simulator.run() {
                Issue.record(
                    """
                    seed \(seed): \(violation)
                    again, step by step: QP_SIM_SEED=\(seed) swift test --filter DeliverySimulationTests.oneSeed
                    """)
                found += 1
                if found == Self.enough { return }
            }
            count += 1
            steps += simulator.steps
            closed += simulator.hasFailedClosed ? 1 : 0
        }
        if Self.environment["QP_SIM_SCHEDULES"] != nil {
            print("lane \(lane): \(count) histories, \(steps) steps, \(closed) failed closed after a power loss")
        }
    }

    @Test(.enabled(if: environment["QP_SIM_SEED"] != nil, "needs QP_SIM_SEED"))
    func oneSeed() throws {
        let seed = try #require(Self.environment["QP_SIM_SEED"].flatMap(UInt64.init))
        let defect = Self.environment["QP_SIM_DEFECT"].flatMap(Defect.init)
        let simulator = DeliverySimulator(seed: seed, defect: defect)
        simulator.isTracing = true
        let violation = simulator.run()
        for line in simulator.trace { print(line) }
        #expect(violation == nil)
    }

    @Test func aSeedIsOneHistory() {
        for seed in 0..<UInt64(20) {
            let (first, second) = (DeliverySimulator(seed: seed), DeliverySimulator(seed: seed))
            first.isTracing = true
            second.isTracing = true
            #expect(first.run() == second.run())
            #expect(first.trace == second.trace)
        }
    }

    /// Whoever looks at the claim of its journal after each append does no harm even if nobody looked at epochs on the wire:
    /// these are the second line, for a shell that fails to.
    @Test func theClaimAloneKeepsTheRules() {
        for seed in 0..<UInt64(200) {
            #expect(DeliverySimulator(seed: seed, defect: .fencesNothingOnTheWire).run() == nil, "seed \(seed)")
        }
    }

    /// A simulator that finds nothing proves nothing: each of these defects must be found.
    @Test(arguments: Defect.allCases.filter { $0 != .fencesNothingOnTheWire }) func findsTheDefect(_ defect: Defect) {
        let found = (0..<UInt64(Self.schedules)).first { seed in
            DeliverySimulator(seed: seed, defect: defect).run() != nil && DeliverySimulator(seed: seed).run() == nil
        }
        #expect(found != nil, "no history of \(Self.schedules) shows it")
        if Self.environment["QP_SIM_SCHEDULES"] != nil, let found {
            print("\(defect): seed \(found): \(DeliverySimulator(seed: found, defect: defect).run() ?? "")")
        }
    }
}
