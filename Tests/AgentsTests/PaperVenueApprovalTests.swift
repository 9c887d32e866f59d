import AgentKit
import Market
import Testing
import Wire

@testable import LiquidityFlow
@testable import PaperVenue

/// Orders that no risk agent stands behind.
@Suite struct PaperVenueApprovalTests {
    @Test func anythingButAValidApprovalIsRefusedWithoutAnAnswer() throws {
        for verdict in ApprovalVerdict.allCases where verdict != .valid {
            var venue = try VenueBench()
            let answers = venue.bench.receive(.order(Sample.order()), on: "orders", approval: verdict)
            // Who is genuine and late waits for an answer; to anybody else there is none.
            #expect(answers.count == (verdict == .expired ? 1 : 0), "\(verdict)")
            #expect(venue.bench.log.last?.text == "order 'p1/1' refused: \(verdict.reason)")
            #expect(venue.bench.counters["orders not approved"] == 1)
            // It is not remembered: the honest order of the same id trades, and nothing of the approval was used up.
            #expect(venue.send(Sample.order("p1/1", .buy, "1")).statuses == [.filled], "\(verdict)")
        }
    }

    /// Whoever reads a journal has old approvals that are genuine: they must not end an honest order that is in flight.
    static let foreign: [(String, @Sendable (inout Order) -> Void)] = [
        ("the id of another proposal's order", { $0.orderID = "p2/1" }),
        ("another proposal", { ($0.orderID, $0.proposalID) = ("p2/1", "p2") }),
        ("an id that only begins alike", { $0.orderID = "p10/1" }),
        ("an order of a longer proposal", { $0.orderID = "p1/2/1" }),
        ("no number", { $0.orderID = "p1/" }),
        ("another side", { $0.side = .sell }),
        ("another symbol", { $0.symbol = "AMZN" }),
        ("another strategy", { $0.strategy = "Other" }),
        ("more than approved", { $0.quantity = Quantity("2")! }),
        ("a block", { $0.decision.kind = .block }),
    ]

    @Test(arguments: foreign)
    func anExpiredApprovalAnswersForNoOtherOrder(
        _ name: String, _ change: @Sendable (inout Order) -> Void
    ) throws {
        var venue = try VenueBench()
        var order = Sample.order()
        change(&order)
        #expect(venue.send(order, approval: .expired).isEmpty)
        #expect(venue.send(Sample.order(), approval: .expired).only?.orderID == "p1/1")
    }

    @Test func noTimeOfTheSenderGoesBeyondWhatWasSigned() throws {
        var venue = try VenueBench(["latencyMs": .number(50)])
        let end = venue.bench.now + .milliseconds(40)
        var order = Sample.order()
        order.decision.approvalBytes = Approval(keyID: 1, expiresAt: end, code: .init(repeating: 0, count: 32)).bytes
        #expect(venue.send(order).isEmpty, "on its way")
        let reports = venue.advance(50)
        #expect(reports.statuses == [.rejected])
        #expect(reports.only?.reason == Refusal.expired.rawValue)
    }

    private func order(_ id: String, signedUntil end: Instant, validFor: Nanoseconds = .seconds(1)) -> Order {
        var decision = Sample.decision(id, .buy, "0.1")
        decision.validForNs = validFor.count
        decision.approvalBytes = Approval(keyID: 1, expiresAt: end, code: .init(repeating: 0, count: 32)).bytes
        var order = Sample.order("\(id)/1", .buy, "0.1", under: decision)
        order.proposalID = id
        order.validForNs = validFor.count
        return order
    }

    /// Its journal is gone, and with it what was used of each approval: one that may be of before is not good a second time.
    @Test func aVenueThatBeganAnewRefusesWhatMayHaveBeenUsedBefore() throws {
        var venue = try VenueBench(isBegunAnew: true)
        venue.bench.start()
        #expect(venue.bench.log.contains { $0.level == .error && $0.text.hasPrefix("begun anew without the journal") })
        let began = venue.bench.now
        let longest = Limits.maxApprovalValidity
        // The longest that could have been given before, and one that is young and short: they can't be told apart.
        for (id, end) in [("p1", began + longest), ("p2", began + .seconds(1))] {
            let report = venue.send(order(id, signedUntil: end)).only
            #expect(report?.status == .rejected && report?.reason == Refusal.forgotten.rawValue)
        }
        // No end is signed: it may be of any time.
        #expect(venue.send(Sample.order("p1/9")).only?.reason == Refusal.forgotten.rawValue)
        // Given afterwards for as long as can be: there is no doubt.
        venue.bench.advance(by: .milliseconds(1))
        let young = order("p3", signedUntil: venue.bench.now + longest, validFor: longest)
        #expect(venue.send(young).statuses == [.filled])
        #expect(venue.send(young).statuses == [.filled], "the same report again")
        // REDUCING goes by positions, which are not known either.
        #expect(venue.command(Sample.state(.reducing)).isEmpty)
        var back = order("p4", signedUntil: venue.bench.now + longest)
        back.side = .sell
        back.decision.side = .sell
        back.price = Price("49999")!
        back.decision.limitPrice = Price("49990")!
        #expect(venue.send(back).only?.reason == Refusal.reducingOnly.rawValue)
        #expect(venue.command(Sample.state(.active)).isEmpty)
        // And it is over.
        venue.bench.advance(by: longest)
        #expect(venue.send(order("p5", signedUntil: venue.bench.now + .seconds(1))).statuses == [.filled])
    }

    @Test func aVenueThatBeginsForTheFirstTimeRefusesNothingOfThat() throws {
        var venue = try VenueBench()
        #expect(venue.send(order("p1", signedUntil: venue.bench.now + .seconds(1))).statuses == [.filled])
    }

    /// The risk agent was down past the end of an approval in flight, and its successor sends it again: execution sends
    /// nothing, and where the order was on its way already, the venue answers it and trades nothing.
    @Test(arguments: [false, true]) func anApprovalThatOutlivedItsRiskAgentIsNeverExecuted(wasSent: Bool) throws {
        var flow = try FlowBench()
        var venue = try VenueBench()
        var decision = Sample.decision("p1", .buy, "2")
        let end = flow.bench.now + Nanoseconds(decision.validForNs)
        decision.approvalBytes = Approval(keyID: 1, expiresAt: end, code: .init(repeating: 0, count: 32)).bytes
        let down = Nanoseconds(decision.validForNs + 1_000_000)
        guard wasSent else {
            flow.bench.advance(by: down)
            #expect(flow.decide(decision).isEmpty)
            #expect(flow.bench.counters["approvals too late"] == 1 && flow.idle)
            return
        }
        let order = try #require(flow.decide(decision).only)
        #expect(order.validForNs == decision.validForNs)
        venue.bench.advance(by: down)
        flow.bench.advance(by: down)
        // What a venue's shell finds of it then: genuine, and over.
        let answers = venue.bench.receive(.order(order), on: "orders", approval: .expired).compactMap {
            $0.payload.report
        }
        #expect(answers.map(\.status) == [.rejected] && answers.allSatisfy { $0.lastQuantityE8 == 0 })
        #expect(flow.report(order, .rejected).isEmpty && flow.idle, "nothing is tried again")
    }
}
