import ArgumentParser
import Audit
import Commands
import Ledger
import Market
import Wire

/// The trading of a run as tables, kept in `<run>/ledger/ledger.sqlite` and made from the agents' journals.
struct LedgerCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ledger",
        abstract: "Orders, fills, positions and profit of the run, told from the agents' journals.",
        discussion: """
            The ledger is an SQLite file in the run directory. Each command first takes in what the journals have gained since
            the last time; no supervisor is needed. Once there is a ledger, journals keep what it has not seen (up to four
            times their size limit); `drop` ends that.
            """,
        subcommands: [
            LedgerUpdateCommand.self, LedgerRebuildCommand.self, LedgerPositionsCommand.self, LedgerOrdersCommand.self,
            LedgerFillsCommand.self, LedgerProfitCommand.self, LedgerDropCommand.self,
        ])
}

struct LedgerOptions: ParsableArguments {
    @OptionGroup var socket: SocketOptions
    @Flag(help: "As JSON.")
    var json = false
    @Flag(help: "Answer from what the ledger has; read no journal.")
    var noUpdate = false
    @Option(help: "Only this strategy.")
    var strategy: String?
    @Option(help: "Only this symbol.")
    var symbol: String?
    @Option(help: ArgumentHelp("Most rows, the newest.", valueName: "count"))
    var limit = LedgerLimits.rows

    func validate() throws {
        guard (1...LedgerLimits.maxRows).contains(limit) else {
            throw ValidationError("--limit takes 1 to \(LedgerLimits.maxRows)")
        }
    }

    var filter: LedgerFilter { LedgerFilter(strategy: strategy, symbol: symbol, limit: limit) }

    /// The ledger, up to date. What could not be read is told on standard error, and ends the command with 1 after its
    /// answer.
    func withLedger(_ body: (Ledger, _ runDirectory: String) throws -> Void) throws {
        let runDirectory = try socket.runDirectory()
        try LedgerFailure.told {
            let ledger = try Ledger(runDirectory: runDirectory, create: !noUpdate)
            var failures: [String] = []
            if !noUpdate { failures = try ledger.update(runDirectory: runDirectory).failures }
            try body(ledger, runDirectory)
            for gap in try ledger.gaps() { Terminal.complain("agentctl: note: \(gap)") }
            for problem in try ledger.problems().prefix(10) { Terminal.complain("agentctl: note: \(problem)") }
            guard failures.isEmpty else { throw Failure(.refused, failures.joined(separator: "\nagentctl: ")) }
        }
    }

    /// As JSON, or as a table with a row of `cells` for each entry.
    func show<Entry>(
        _ entries: [Entry], json value: (Entry) -> JSONValue, _ columns: [Table.Column], _ cells: (Entry) -> [String]
    ) {
        if json { return Terminal.say(JSONValue.array(entries.map(value)).text) }
        if entries.isEmpty { return Terminal.say("None.") }
        Table.show(columns, entries.map(cells))
    }
}

enum LedgerFailure {
    static func told(_ body: () throws -> Void) throws {
        do {
            try body()
        } catch let error as LedgerError {
            throw Failure(.refused, "\(error)")
        } catch let error as AuditError {
            throw Failure(.refused, "\(error)")
        } catch let error as ArithmeticOverflow {
            throw Failure(.refused, "a sum does not fit into 64 bits: \(error)")
        }
    }

    static func report(_ update: LedgerUpdate) throws {
        Terminal.say("\(update.records) records read, \(update.entries) taken in")
        for gap in update.gaps { Terminal.complain("agentctl: note: \(gap)") }
        guard update.failures.isEmpty else {
            throw Failure(.refused, update.failures.joined(separator: "\nagentctl: "))
        }
    }
}

struct LedgerUpdateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "update", abstract: "Take in what the journals have gained.")
    @OptionGroup var socket: SocketOptions

    func run() throws {
        let runDirectory = try socket.runDirectory()
        try LedgerFailure.told {
            try LedgerFailure.report(try Ledger(runDirectory: runDirectory).update(runDirectory: runDirectory))
        }
    }
}

struct LedgerRebuildCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rebuild", abstract: "Make the ledger anew from the journals; the old one stays if that fails.")
    @OptionGroup var socket: SocketOptions
    @Flag(help: "Also when the oldest records are no longer in the journals.")
    var acceptGaps = false

    func run() throws {
        let runDirectory = try socket.runDirectory()
        try LedgerFailure.told {
            try LedgerFailure.report(try Ledger.rebuild(runDirectory: runDirectory, acceptGaps: acceptGaps))
        }
    }
}

struct LedgerDropCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drop", abstract: "Remove the ledger; journals are then trimmed without regard to it.")
    @OptionGroup var socket: SocketOptions

    func run() throws {
        let runDirectory = try socket.runDirectory()
        try LedgerFailure.told { try Ledger.drop(runDirectory: runDirectory) }
    }
}

struct LedgerPositionsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "positions", abstract: "Positions of the account, or of each strategy.")
    @OptionGroup var options: LedgerOptions
    @Flag(help: "One position for each strategy.")
    var byStrategy = false

    func run() throws {
        try options.withLedger { ledger, _ in
            let positions = try ledger.positions(byStrategy: byStrategy || options.strategy != nil, options.filter)
            options.show(
                positions, json: \.json,
                [
                    .init(title: "STRATEGY"), .init(title: "SYMBOL"), .init(title: "POSITION", alignment: .right),
                    .init(title: "AVERAGE", alignment: .right), .init(title: "BOUGHT", alignment: .right),
                    .init(title: "SOLD", alignment: .right), .init(title: "FILLS", alignment: .right),
                ]
            ) { entry in
                [
                    entry.strategy ?? "*", entry.symbol, "\(entry.position.quantity)",
                    entry.position.averagePrice.map { "\($0)" } ?? "-", "\(entry.bought)", "\(entry.sold)",
                    "\(entry.position.fills)",
                ]
            }
        }
    }
}

struct LedgerOrdersCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "orders", abstract: "Orders with what became of them, newest first.")
    @OptionGroup var options: LedgerOptions

    func run() throws {
        try options.withLedger { ledger, _ in
            let orders = try ledger.orders(options.filter)
            options.show(
                orders, json: \.json,
                [
                    .init(title: "TIME"), .init(title: "ORDER"), .init(title: "STRATEGY"), .init(title: "SIDE"),
                    .init(title: "QUANTITY", alignment: .right), .init(title: "SYMBOL"),
                    .init(title: "PRICE", alignment: .right), .init(title: "STATUS"),
                    .init(title: "FILLED", alignment: .right),
                    .init(title: "REASON", shrinksTo: 10),
                ]
            ) { order in
                [
                    WallTime.text(unixNs: order.atNs), order.id, order.strategy, "\(order.side)",
                    "\(order.quantity)",
                    order.symbol, "\(order.price)", order.status.map { "\($0)" } ?? "unanswered", "\(order.filled)",
                    order.reason,
                ]
            }
        }
    }
}

struct LedgerFillsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "fills", abstract: "Executions, newest first.")
    @OptionGroup var options: LedgerOptions

    func run() throws {
        try options.withLedger { ledger, _ in
            let fills = try ledger.fills(options.filter)
            options.show(
                fills, json: \.json,
                [
                    .init(title: "TIME"), .init(title: "EXECUTION"), .init(title: "STRATEGY"), .init(title: "SIDE"),
                    .init(title: "QUANTITY", alignment: .right), .init(title: "SYMBOL"),
                    .init(title: "PRICE", alignment: .right), .init(title: "FEE", alignment: .right),
                ]
            ) { fill in
                [
                    WallTime.text(unixNs: fill.atNs), fill.execution, fill.strategy, "\(fill.side)",
                    "\(fill.quantity)", fill.symbol, "\(fill.price)", "\(fill.fee)",
                ]
            }
        }
    }
}

struct LedgerProfitCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pnl", abstract: "Profit and loss by symbol, or by strategy and symbol.",
        discussion: "Open positions are valued at the last quote that an agent has on record, else at the last fill.")
    @OptionGroup var options: LedgerOptions
    @Flag(help: "One row for each strategy.")
    var byStrategy = false

    func run() throws {
        try options.withLedger { ledger, runDirectory in
            let positions = try ledger.positions(byStrategy: byStrategy || options.strategy != nil, options.filter)
            let result = try ProfitAndLoss(positions, marks: try MarkBook.load(runDirectory: runDirectory))
            if options.json { return Terminal.say(result.json.text) }
            let rows = result.rows.map { row in
                [
                    row.strategy ?? "*", row.symbol, "\(row.position.quantity)",
                    "\(row.mark)\(row.isMarkLastFill ? " (last fill)" : "")", "\(row.position.realised)",
                    "\(row.unrealised)", "\(row.position.fees)", "\(row.profit)",
                ]
            }
            let sums = ["\(result.realised)", "\(result.unrealised)", "\(result.fees)", "\(result.profit)"]
            Table.show(
                [
                    .init(title: "STRATEGY"), .init(title: "SYMBOL"), .init(title: "POSITION", alignment: .right),
                    .init(title: "MARK", alignment: .right), .init(title: "REALISED", alignment: .right),
                    .init(title: "UNREALISED", alignment: .right), .init(title: "FEES", alignment: .right),
                    .init(title: "P&L", alignment: .right),
                ], rows + [["all", "", "", ""] + sums])
        }
    }
}

extension Table {
    /// Rows of plain text, as wide as the terminal.
    static func show(_ columns: [Column], _ rows: [[String]]) {
        var table = Table(columns)
        table.rows = rows.map { $0.map { Cell($0) } }
        Terminal.say(table.lines(width: Terminal.columns, colour: Terminal.usesColour).joined(separator: "\n"))
    }
}
