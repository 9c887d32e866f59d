import Glibc
import SwiftProtobuf
import Testing
import Wire

@testable import AgentKit
@testable import Authority

/// What the shell signs and checks for its agent.
@Suite struct AgentAuthorityTests {
    private static let now = Instant(nanoseconds: 5_000_000_000)

    /// A risk agent and a venue agent that share the keys in a scratch file.
    private static func withPair(_ body: (_ risk: AgentAuthority, _ venue: AgentAuthority) throws -> Void) throws {
        var template = Array("/tmp/qp-XXXXXX".utf8CString)
        let folder = String(cString: try #require(mkdtemp(&template)))
        defer {
            unlink("\(folder)/keyring")
            rmdir(folder)
        }
        let file = try KeyringFile(path: "\(folder)/keyring", at: now)
        func keyring() throws -> Keyring { try Keyring(descriptor: dup(file.readOnlyDescriptor)) }
        try body(
            AgentAuthority(role: .risk, keyring: keyring()), AgentAuthority(role: .venue, keyring: keyring()))
    }

    private static func decision(_ kind: DecisionKind = .approve) -> RiskDecision {
        RiskDecision.with {
            $0.proposalID = "p1"
            $0.kind = kind
            $0.strategy = "s"
            $0.symbol = "BTCUSDT"
            $0.side = .buy
            $0.quantityE8 = kind == .block ? 0 : 100
            $0.limitPriceE8 = 500
            $0.validForNs = 1_000_000_000
        }
    }

    private static func order(_ decision: RiskDecision) -> Payload {
        .order(Order.with { $0.decision = decision })
    }

    @Test func whatRiskSendsTheVenueAccepts() throws {
        try Self.withPair { risk, venue in
            for kind in [DecisionKind.approve, .reduce] {
                let sent = risk.prepare(.riskDecision(Self.decision(kind)), at: Self.now)
                guard case .riskDecision(let decision) = sent else { return #expect(Bool(false)) }
                #expect(!decision.approvalBytes.isEmpty)
                #expect(venue.verdict(on: Self.order(decision), at: Self.now) == .valid)
                #expect(AgentAuthority.isSame(replayed: .riskDecision(Self.decision(kind)), journaled: sent))
            }
            #expect(venue.verdict(on: Self.order(Self.decision()), at: Self.now) == .missing)
            #expect(venue.verdict(on: .order(Order()), at: Self.now) == .missing)
        }
    }

    @Test func aBlockIsNeverSigned() throws {
        try Self.withPair { risk, venue in
            let block = Payload.riskDecision(Self.decision(.block))
            #expect(risk.prepare(block, at: Self.now) == block)
            // An approval of nothing, turned into one of something, is nobody's approval.
            let sent = risk.prepare(.riskDecision(Self.decision()), at: Self.now)
            guard case .riskDecision(var decision) = sent else { return #expect(Bool(false)) }
            decision.quantityE8 += 1
            #expect(venue.verdict(on: Self.order(decision), at: Self.now) == .forged)
        }
    }

    @Test func withoutAKeyEveryDecisionIsABlock() {
        let risk = AgentAuthority(role: .risk, keyring: nil)
        let sent = risk.prepare(.riskDecision(Self.decision()), at: Self.now)
        guard case .riskDecision(let decision) = sent else { return #expect(Bool(false)) }
        #expect(decision.kind == .block)
        #expect(decision.quantityE8 == 0 && decision.validForNs == 0)
        #expect(decision.reasons == [.noAuthority])
        #expect(decision.approvalBytes.isEmpty)
        #expect(AgentAuthority.isSame(replayed: .riskDecision(Self.decision()), journaled: sent))
        var other = Self.decision()
        other.symbol = "ETHUSDT"
        #expect(!AgentAuthority.isSame(replayed: .riskDecision(other), journaled: sent))
    }

    @Test func replayedDecisionsThatDifferAreNotTheSame() throws {
        try Self.withPair { risk, _ in
            let sent = risk.prepare(.riskDecision(Self.decision()), at: Self.now)
            for change in [
                { $0.quantityE8 = 99 }, { $0.kind = .block }, { $0.kind = .reduce }, { $0.limitPriceE8 = 1 },
                { $0.validForNs += 1 }, { $0.reasons = [.noAuthority] },
            ] as [(inout RiskDecision) -> Void] {
                var other = Self.decision()
                change(&other)
                #expect(!AgentAuthority.isSame(replayed: .riskDecision(other), journaled: sent))
            }
        }
    }

    @Test func aVenueWithoutKeysTrustsNobody() throws {
        try Self.withPair { risk, _ in
            let venue = AgentAuthority(role: .venue, keyring: nil)
            guard case .riskDecision(let decision) = risk.prepare(.riskDecision(Self.decision()), at: Self.now) else {
                return #expect(Bool(false))
            }
            #expect(venue.verdict(on: Self.order(decision), at: Self.now) == .noKeys)
        }
    }

    @Test func otherRolesNeitherSignNorCheck() throws {
        for role in AgentRole.allCases + [nil] where role != .risk && role != .venue {
            let authority = AgentAuthority(role: role, keyring: nil)
            let decision = Payload.riskDecision(Self.decision())
            #expect(authority.prepare(decision, at: Self.now) == decision)
            #expect(authority.verdict(on: Self.order(Self.decision()), at: Self.now) == .notAsked)
        }
        try Self.withPair { risk, venue in
            #expect(risk.verdict(on: Self.order(Self.decision()), at: Self.now) == .notAsked)
            let decision = Payload.riskDecision(Self.decision())
            #expect(venue.prepare(decision, at: Self.now) == decision, "a venue signs nothing")
            #expect(venue.verdict(on: decision, at: Self.now) == .notAsked)
        }
    }
}
