import Glibc
import Market
import Wire

extension RunSummary {
    /// Name of the file in the run directory.
    public static let fileName = "summary.json"

    /// For programs. Times in nanoseconds; prices, quantities and money as decimal strings, exact.
    public var json: JSONValue {
        .members([
            "durationNs": .integer(duration.count),
            "wires": .array(wires.map(\.json)),
            "signals": .object(signals.map { .init(key: $0.agent, value: .count($0.count)) }),
            "proposals": .counts(trading.proposals, total: trading.proposalCount),
            "sized": .members([
                "total": .integer(Int64(trading.sized)), "toNothing": .integer(Int64(trading.sizedToNothing)),
            ]),
            "decisions": .counts(trading.decisions, total: trading.decisionCount),
            "reasons": .counts(trading.reasons),
            "orders": .counts(trading.orderStates, total: trading.orders),
            "fills": .integer(Int64(trading.fillCount)),
            "positions": .array(portfolio.holdings.map(\.json)),
            "pnl": .members([
                "realised": .decimal(portfolio.totals.realised),
                "unrealised": .decimal(portfolio.totals.unrealised),
                "fees": .decimal(portfolio.totals.fees),
                "afterFees": .decimal(portfolio.profit),
            ]),
            "endToEnd": .array(latencies.map(\.json)),
            "agents": .array(agents.map(\.json)),
            "notes": .array((notes + portfolio.problems).map { .string($0) }),
        ])
    }

    /// Writes the JSON to a file, at once or not at all.
    public func write(to file: String) throws(AuditError) {
        let fresh = file + ".new"
        let descriptor = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .failedWrite(file) }
        defer { close(descriptor) }
        let bytes = Array(json.indented.utf8)
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress! + done, bytes.count - done) }
            if count < 0 {
                if errno == EINTR { continue }
                throw .failedWrite(file)
            }
            done += count
        }
        guard rename(fresh, file) == 0 else { throw .failedWrite(file) }
    }
}

extension AuditError {
    fileprivate static func failedWrite(_ file: String) -> AuditError {
        .write(file: file, reason: String(cString: strerror(errno)))
    }
}

extension JSONValue {
    fileprivate static func count(_ value: UInt64) -> JSONValue { .integer(Int64(clamping: value)) }
    fileprivate static func decimal(_ value: some FixedPoint) -> JSONValue { .string("\(value)") }

    fileprivate static func counts(_ counts: [String: Int], total: Int? = nil) -> JSONValue {
        let members = counts.sorted { $0.key < $1.key }.map { Member(key: $0.key, value: .integer(Int64($0.value))) }
        guard let total else { return .object(members) }
        return .members(["total": .integer(Int64(total)), "by": .object(members)])
    }
}

extension RunSummary.Latency {
    fileprivate var json: JSONValue {
        .members([
            "count": .count(count), "p50Ns": .integer(median.count), "p99Ns": .integer(p99.count),
            "maxNs": .integer(max.count),
        ])
    }
}

extension RunSummary.WireCounts {
    fileprivate var json: JSONValue {
        .members([
            "wire": .string(name),
            "delivery": delivery.map { .string($0.rawValue) } ?? .null,
            "sent": sent.map { .count($0) } ?? .null,
            "messages": .count(messages),
            "bytes": .count(bytes),
            "lost": .count(lost),
            "duplicates": .count(duplicates),
            "fenced": .count(fenced),
            "hop": hop.json,
            "age": age.json,
        ])
    }
}

extension RunSummary.EndToEnd {
    fileprivate var json: JSONValue {
        .members([
            "pipeline": .string(pipeline), "to": .string(end), "wire": .string(wire), "latency": latency.json,
        ])
    }
}

extension RunSummary.Agent {
    fileprivate var json: JSONValue {
        .members([
            "name": .string(name),
            "incarnation": .count(incarnation),
            "restarts": .integer(Int64(restarts)),
            "handled": .count(handled),
            "malformed": .count(malformed),
            "counters": .object(counters.map { .init(key: $0.name, value: .count($0.value)) }),
        ])
    }
}

extension Portfolio.Holding {
    fileprivate var json: JSONValue {
        .members([
            "symbol": .string(symbol),
            "position": .decimal(position.quantity),
            "averagePrice": position.averagePrice.map { .decimal($0) } ?? .null,
            "mark": mark.map { .decimal($0) } ?? .null,
            "markSource": .string(markSource),
            "bought": .decimal(bought),
            "sold": .decimal(sold),
            "realised": .decimal(position.realised),
            "fees": .decimal(position.fees),
        ])
    }
}
