import AgentKit
import Market
import Wire

/// How approvals are worked.
struct ExecutionSettings: Sendable {
    /// Wait after an attempt that left something, before the next.
    var retry = Nanoseconds.milliseconds(20)
    /// Orders sent for one approval, at most.
    var maxOrders = 64
    /// Rejections in a row after which an approval is given up: something is wrong that trying again won't mend.
    var maxRejections = 8
    /// Into how many equal slices over its validity a large order is cut; 1: never cut.
    var twapSlices = 1
    /// An order is large when it is more than this multiple of what the books show within its bound.
    var twapAboveDepth = 1.0
    var fees = VenueFees()

    init(_ settings: Settings) throws {
        retry = .milliseconds(Int64(try settings.integer("retryMs", default: 20, in: 1...60_000)))
        maxOrders = try settings.integer("maxOrdersPerApproval", default: maxOrders, in: 1...256)
        maxRejections = try settings.integer("maxRejections", default: maxRejections, in: 1...1_000)
        twapSlices = try settings.integer("twapSlices", default: twapSlices, in: 1...1_000)
        twapAboveDepth = try settings.number("twapAboveDepth", default: twapAboveDepth, in: 0...1_000)
        fees = try VenueFees(try settings.texts("takerFeeBps", default: ["*=5"]))
    }
}

/// What taking liquidity costs at each venue, in basis points of the value traded; below 0 is a rebate.
struct VenueFees: Equatable, Sendable {
    private var bps: [String: Factor] = [:]
    private var others = Factor.zero

    init() {}

    /// "VENUE=BPS" each; the venue "*" stands for all that are not listed.
    init(_ lines: [String]) throws {
        for line in lines {
            let parts = line.split(separator: "=", maxSplits: 1).map(String.init)
            guard parts.count == 2, let fee = Factor(parts[1]), fee.e8.magnitude < UInt64(1_000 * e8Scale) else {
                throw AgentFailure(
                    "'settings.takerFeeBps': \"\(line)\" must read \"VENUE=BPS\" or \"*=BPS\" with less than 1000 basis "
                        + "points, such as \"*=5\"; correct agent.json or supervisor.json")
            }
            if parts[0] == "*" { others = fee } else { bps[parts[0]] = fee }
        }
    }

    func takerBps(_ venue: String) -> Factor { bps[venue] ?? others }
}
