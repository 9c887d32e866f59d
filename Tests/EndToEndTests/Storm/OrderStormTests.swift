import Journal
import Testing

extension EndToEnd {
    /// The one promise: no order without an approval, none lost, none twice, whatever dies.
    @Suite struct OrderStormTests {
        @Test("every proposal is decided once and executed as approved, whatever is killed")
        func storm() throws {
            let plan = StormPlan.fromEnvironment
            try Place.with { place in
                let storm = try OrderStorm(place, plan)
                defer { storm.end() }
                // Journals of a broken promise are worth a look.
                place.isKept = true
                do {
                    try storm.run()
                    if storm.faultCount == 0 { try storm.settle() }
                } catch {
                    print("kept: \(place.path); again with: \(plan.command)")
                    throw error
                }
                // Nothing here is a reason to block: not a broken promise, but worth a look too.
                place.isKept = storm.faultCount > 0 || !storm.books.blocked.isEmpty
                if place.isKept { print("kept: \(place.path)") }
                tell(storm)
                let faults = storm.books.faults + storm.faults
                #expect(
                    storm.faultCount == 0,
                    "\(faults.joined(separator: "\n"))\nkept: \(place.path); again with: \(plan.command)")
                #expect(storm.tally.killed >= plan.kills)
                #expect(
                    storm.sizes.largestJournal <= 2 * JournalLimits.maxTotalBytes,
                    "journals stay within their size while the ledger keeps up")
            }
        }

        private func tell(_ storm: OrderStorm) {
            let books = storm.books
            print(
                """
                storm, seed \(storm.plan.seed), \(Int(storm.seconds)) s: \(storm.tally)
                \(books.proposals.count) proposals, \(books.decisions.count) decisions, \(books.approved) approved, blocked \(books.blocked), \
                \(books.executed) executed (\(books.partly) in part), \(books.orders.count) orders, \(books.fills.count) fills
                lost \(books.proposals.count - books.decisions.count), duplicated \(books.duplicates), \
                other faults \(storm.faultCount - books.duplicates)
                positions of venue, RiskSentinel, Guardian.ai and ledger: \(books.holdings.values.map { "\($0)" }.joined())
                ledger: \(storm.ledger.updates) updates along the way, \(storm.ledger.kills) of them killed
                \(storm.sizes), ledger \(storm.ledger.bytes >> 20) MB
                again with: \(storm.plan.command)
                """)
        }
    }
}
