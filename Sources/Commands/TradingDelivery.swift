import Glibc
import Wire

/// Brings an order to the supervisor, or to the one that takes its place before the order's wait is over: an upgrade or a crash
/// must not swallow a halt.
///
/// What only forbids is repeated until somebody answers: commanded twice, it is commanded. What may let trade is repeated only as
/// long as no supervisor can have it: repeated later it could undo a halt that came between.
struct TradingDelivery {
    let path: String
    let order: TradingOrder

    /// - Parameter tell: hears, once, that it is tried again.
    func result(
        pause: (_ seconds: Double) -> Void = { usleep(useconds_t($0 * 1e6)) }, tell: (String) -> Void
    ) throws -> JSONValue {
        let end = SteadyClock.now + order.waitSeconds
        var hasTold = false
        var mayBeKnown = false
        var farewell: Failure?
        while true {
            do { return try attempt(until: end) } catch var failure as Failure {
                guard let fate = fate(of: failure, until: end) else { throw failure }
                if failure.fate == nil { farewell = failure }
                mayBeKnown = mayBeKnown || fate == .unanswered
                guard fate == .unsent || !order.mayLoosen, SteadyClock.now + Reconnection.pauseSeconds < end else {
                    // What the last that answered said holds still.
                    if let farewell { throw farewell }
                    failure.message += "\n\(mayBeKnown ? order.withoutAnswer : order.withoutSupervisor)"
                    throw failure
                }
                if !hasTold {
                    tell("\(failure.message). Trying again until --wait is over: \(order.soFar(mayBeKnown))")
                }
                hasTold = true
                pause(Reconnection.pauseSeconds)
            }
        }
    }

    private func attempt(until end: Double) throws -> JSONValue {
        var order = order
        order.waitSeconds = max(0, end - SteadyClock.now)
        var client = try ControlClient(
            path: path, patienceSeconds: order.waitSeconds + ControlClient.tradingGraceSeconds)
        return try client.call(.trade(order))
    }

    /// Nil: the supervisor has spoken. One that says before the wait is over that nobody has confirmed is leaving.
    private func fate(of failure: Failure, until end: Double) -> Failure.Fate? {
        let isFarewell =
            failure.refusal == ControlErrorCode.unconfirmed.rawValue && !order.mayLoosen
            && SteadyClock.now + Reconnection.pauseSeconds < end
        return failure.fate ?? (isFarewell ? .unanswered : nil)
    }
}

extension TradingOrder {
    private static let startAgain = "Start it again: it takes them over"

    /// What is so, and can be done, while nobody takes orders.
    var withoutSupervisor: String {
        let start = "Agents that still run go on without a supervisor (SDK ones for deadManSeconds). \(Self.startAgain)"
        guard !mayLoosen else { return "Nothing was changed. \(start), then repeat this." }
        return """
            NOTHING WAS STOPPED. \(start), then repeat this. \
            \(Self.lastResort): without its approvals nothing trades.
            """
    }

    /// What is so, and can be done, when a supervisor may have it and has not said so.
    var withoutAnswer: String {
        let look = "`agentctl status` tells the trading state as soon as a supervisor answers"
        let restart = "One that hangs: `kill -9` it and start it again; it takes the agents over"
        guard !mayLoosen else {
            return "IT IS NOT KNOWN WHETHER THIS WAS CARRIED OUT. \(look); `agentctl halt` takes it back. \(restart)."
        }
        return """
            IT IS NOT KNOWN WHETHER TRADING IS \(state.word ?? "HALTED"). \(look); repeat this, twice does no harm. \(restart). \
            \(Self.lastResort): without its approvals nothing trades.
            """
    }

    private static let lastResort = "Or `kill` the risk agent (`pgrep -a RiskSentinel`, if you use that)"

    fileprivate func soFar(_ mayBeKnown: Bool) -> String {
        if mayBeKnown { return "IT IS NOT KNOWN YET WHETHER THIS WAS CARRIED OUT" }
        return mayLoosen ? "nothing is changed yet" : "NOTHING IS STOPPED YET"
    }
}
