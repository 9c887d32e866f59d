import Audit
import Market
import Wire

// For programs: money, prices and quantities are decimal strings, exact; times are UTC.

extension LedgerPosition {
    public var json: JSONValue {
        .object([
            .init(key: "strategy", value: strategy.map { .string($0) } ?? .null),
            .init(key: "symbol", value: .string(symbol)),
            .init(key: "position", value: .string("\(position.quantity)")),
            .init(key: "averagePrice", value: position.averagePrice.map { .string("\($0)") } ?? .null),
            .init(key: "bought", value: .string("\(bought)")),
            .init(key: "sold", value: .string("\(sold)")),
            .init(key: "realised", value: .string("\(position.realised)")),
            .init(key: "fees", value: .string("\(position.fees)")),
            .init(key: "fills", value: .integer(Int64(clamping: position.fills))),
        ])
    }
}

extension LedgerOrder {
    public var json: JSONValue {
        .object([
            .init(key: "order", value: .string(id)),
            .init(key: "proposal", value: .string(proposal)),
            .init(key: "strategy", value: .string(strategy)),
            .init(key: "venue", value: .string(venue)),
            .init(key: "symbol", value: .string(symbol)),
            .init(key: "side", value: .string("\(side)")),
            .init(key: "price", value: .string("\(price)")),
            .init(key: "quantity", value: .string("\(quantity)")),
            .init(key: "filled", value: .string("\(filled)")),
            .init(key: "status", value: status.map { .string("\($0)") } ?? .null),
            .init(key: "reason", value: .string(reason)),
            .init(key: "at", value: .string(WallTime.text(unixNs: atNs))),
            .init(key: "trace", value: .string(trace)),
        ])
    }
}

extension LedgerFill {
    public var json: JSONValue {
        .object([
            .init(key: "execution", value: .string(execution)),
            .init(key: "order", value: .string(order)),
            .init(key: "strategy", value: .string(strategy)),
            .init(key: "venue", value: .string(venue)),
            .init(key: "symbol", value: .string(symbol)),
            .init(key: "side", value: .string("\(side)")),
            .init(key: "price", value: .string("\(price)")),
            .init(key: "quantity", value: .string("\(quantity)")),
            .init(key: "fee", value: .string("\(fee)")),
            .init(key: "at", value: .string(WallTime.text(unixNs: atNs))),
            .init(key: "trace", value: .string(trace)),
        ])
    }
}

extension ProfitAndLoss {
    public var json: JSONValue {
        .object([
            .init(key: "realised", value: .string("\(realised)")),
            .init(key: "unrealised", value: .string("\(unrealised)")),
            .init(key: "fees", value: .string("\(fees)")),
            .init(key: "afterFees", value: .string("\(profit)")),
            .init(
                key: "rows",
                value: .array(
                    rows.map { row in
                        .object([
                            .init(key: "strategy", value: row.strategy.map { .string($0) } ?? .null),
                            .init(key: "symbol", value: .string(row.symbol)),
                            .init(key: "position", value: .string("\(row.position.quantity)")),
                            .init(key: "mark", value: .string("\(row.mark)")),
                            .init(key: "markSource", value: .string(row.isMarkLastFill ? "last fill" : "mid")),
                            .init(key: "realised", value: .string("\(row.position.realised)")),
                            .init(key: "unrealised", value: .string("\(row.unrealised)")),
                            .init(key: "fees", value: .string("\(row.position.fees)")),
                            .init(key: "afterFees", value: .string("\(row.profit)")),
                        ])
                    })),
        ])
    }
}
