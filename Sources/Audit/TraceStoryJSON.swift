import Market
import Wire

extension TraceStory {
    /// For programs. Times in nanoseconds; `…UnixNs` are Unix times as strings, since they exceed 2^53.
    public var json: JSONValue {
        .members([
            "trace": .string("\(trace)"),
            "originAt": .string(WallTime.text(unixNs: originUnixNs)),
            "originUnixNs": .string("\(originUnixNs)"),
            "complete": .bool(isComplete),
            "fills": .integer(Int64(fills.count)),
            "path": .array(path.map { .integer(Int64($0)) }),
            "hops": .array(hops.map(\.json)),
            "notes": .array(notes.map { .string($0) }),
        ])
    }
}

extension TraceStory.Hop {
    fileprivate var json: JSONValue {
        var members: [JSONValue.Member] = []
        func add(_ key: String, _ value: JSONValue) { members.append(.init(key: key, value: value)) }
        add("step", .string(isFill ? "fill" : PayloadSummary.step(header.payloadType)))
        add("type", .string(header.payloadType.name))
        add("agent", producer.map { .string($0) } ?? .null)
        add("incarnation", .integer(Int64(clamping: header.incarnation)))
        add("output", output.map { .string($0) } ?? .null)
        add("sequence", .integer(Int64(clamping: header.sequence)))
        add("sentAt", .string(WallTime.text(unixNs: sentUnixNs)))
        add("sinceOriginNs", .integer(sinceOrigin.count))
        add(
            "cause",
            cause.map {
                .members([
                    "hop": .integer(Int64($0.hop)), "wireNs": .integer($0.wire.count),
                    "agentNs": .integer($0.agent.count),
                ])
            } ?? .null)
        add("deliveries", .array(deliveries.map(\.json)))
        add("summary", .string(summary))
        if case .riskDecision(let decision) = payload {
            add(
                "checks",
                .array(
                    PayloadSummary.checks(decision).map {
                        .members(["name": .string($0.name), "value": .number($0.value), "limit": .number($0.limit)])
                    }))
        }
        return .object(members)
    }
}

extension TraceStory.Delivery {
    fileprivate var json: JSONValue {
        .members([
            "agent": .string(agent),
            "incarnation": .integer(Int64(clamping: incarnation)),
            "port": port.map { .string($0) } ?? .null,
            "wireNs": .integer(wire.count),
            "handledNs": .integer((handledAt - receivedAt).count),
        ])
    }
}
