import Foundation
import Glibc
import Testing
import Wire

@testable import Commands

/// A halt finds its supervisor, and never leaves open what is true of trading.
@Suite struct TradingDeliveryTests {
    private static let done = #"{"jsonrpc":"2.0","id":1,"result":"done"}"# + "\n"
    private static let leaving =
        #"{"jsonrpc":"2.0","id":1,"error":{"code":-32006,"message":"HALTED the supervisor is being upgraded"}}"# + "\n"

    private static func order(_ state: TradingState, wait: Double = 60) -> TradingOrder {
        TradingOrder(state: state, reason: "test", by: "Ada", waitSeconds: wait)
    }

    @Test("a halt is repeated until somebody answers", arguments: [nil, leaving])
    func repeated(_ first: String?) throws {
        let supervisor = try FakeSupervisor()
        supervisor.serve([first, nil, Self.done])
        var told: [String] = []
        let result = try TradingDelivery(path: supervisor.path, order: Self.order(.halted)).result { told.append($0) }
        #expect(result.string == "done")
        #expect(told.count == 1 && told.first?.contains("NOT KNOWN YET") == true, "\(told)")
    }

    @Test("whatever it is, it waits for the supervisor that comes", arguments: [TradingState.halted, .active])
    func waits(_ state: TradingState) throws {
        let supervisor = try FakeSupervisor()
        supervisor.serve([Self.done])
        let place = supervisor.folder + "/later.sock"
        defer { unlink(place) }
        var told: [String] = []
        let result = try TradingDelivery(path: place, order: Self.order(state)).result(
            pause: { _ in rename(supervisor.path, place) }, tell: { told.append($0) })
        #expect(result.string == "done")
        let words = state == .halted ? "NOTHING IS STOPPED YET" : "nothing is changed yet"
        #expect(told.count == 1 && told.first?.contains(words) == true, "\(told)")
    }

    @Test("what lets trade again is not repeated once it may be known: it could undo a halt that came between")
    func notRepeated() throws {
        let supervisor = try FakeSupervisor()
        supervisor.serve([nil])
        do {
            _ = try TradingDelivery(path: supervisor.path, order: Self.order(.active)).result {
                Issue.record("repeated: \($0)")
            }
            Issue.record("carried out by nobody")
        } catch let failure as Failure {
            #expect(failure.code == .noSupervisor)
            #expect(failure.message.contains("NOT KNOWN WHETHER THIS WAS CARRIED OUT"), "\(failure.message)")
        }
    }

    @Test("a supervisor that hangs is not waited for beyond --wait, and nobody is told that nothing was stopped")
    func hangs() throws {
        let supervisor = try FakeSupervisor()
        do {
            _ = try TradingDelivery(path: supervisor.path, order: Self.order(.halted, wait: 0)).result {
                Issue.record("repeated: \($0)")
            }
            Issue.record("carried out by nobody")
        } catch let failure as Failure {
            #expect(failure.code == .refused)
            #expect(failure.message.contains("does not answer"), "\(failure.message)")
            #expect(failure.message.contains("NOT KNOWN WHETHER TRADING IS HALTED"), "\(failure.message)")
            #expect(failure.message.contains("`kill` the risk agent"), "\(failure.message)")
        }
    }

    @Test("without any supervisor it says so when the wait is over")
    func absent() throws {
        for (state, words) in [(TradingState.halted, "NOTHING WAS STOPPED"), (.active, "Nothing was changed")] {
            do {
                _ = try TradingDelivery(path: "/nowhere/control.sock", order: Self.order(state, wait: 0)).result { _ in
                }
                Issue.record("carried out by nobody")
            } catch let failure as Failure {
                #expect(failure.code == .noSupervisor && failure.message.contains(words), "\(failure.message)")
            }
        }
    }
}
