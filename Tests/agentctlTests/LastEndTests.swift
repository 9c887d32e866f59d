import Testing
import Wire

@testable import agentctl_records

/// `why` of an agent whose end was not written down, or whose record is lost.
@Suite struct LastEndTests {
    private static func status(_ state: AgentState, pid: Int32? = nil, incarnation: Int) -> AgentStatus {
        AgentStatus(name: "A", role: .information, state: state, pid: pid, incarnation: incarnation)
    }

    private static func certificate(_ incarnation: UInt64) -> DeathCertificate {
        DeathCertificate(agent: "A", incarnation: incarnation, at: "t", cause: .exit, summary: "s", advice: "a")
    }

    @Test func whoRunsForTheFirstTimeHasNotEnded() {
        for status in [
            Self.status(.running, pid: 7, incarnation: 1), Self.status(.starting, incarnation: 1),
            Self.status(.stopped, incarnation: 0),
        ] {
            #expect(LastEnd(status).gap(newest: nil) == "A has not ended yet.")
        }
        #expect(LastEnd(agent: "A", incarnation: nil).gap(newest: nil) == "A has not ended yet.")
    }

    @Test func aLostCertificateIsNoLife() throws {
        for (status, ended) in [
            (Self.status(.running, pid: 7, incarnation: 3), 2), (Self.status(.failed, incarnation: 3), 3),
            (Self.status(.backoff, incarnation: 1), 1),
        ] {
            let gap = try #require(LastEnd(status).gap(newest: nil))
            #expect(gap.hasPrefix("There is no record of the end of incarnation \(ended) of A: "), "\(gap)")
            #expect(!gap.contains("newest"))
        }
        var seen = Self.status(.backoff, incarnation: 1)
        seen.lastExit = .init(cause: .signal, signal: "SIGKILL", code: nil, at: "2026", lastLog: [])
        #expect(LastEnd(seen).gap(newest: nil)?.contains("saw SIGKILL at 2026. ") == true)
    }

    @Test func anOlderCertificateIsNotTakenForTheLast() throws {
        let end = LastEnd(Self.status(.failed, incarnation: 3))
        #expect(end.gap(newest: Self.certificate(3)) == nil)
        #expect(try #require(end.gap(newest: Self.certificate(2))).hasSuffix("The newest end that is on record:"))
    }

    @Test func withoutASupervisorNothingIsSaidOfWhoMayLive() throws {
        let end = LastEnd(agent: "A", incarnation: 3)
        #expect(end.gap(newest: Self.certificate(2)) == nil)
        #expect(try #require(end.gap(newest: Self.certificate(1))).contains("incarnation 2 of A"))
        #expect(try #require(LastEnd(agent: "A", incarnation: 1).gap(newest: nil)).contains("none answers"))
    }
}
