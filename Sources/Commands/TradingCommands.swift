import ArgumentParser
import Wire

// The kill switch, and the way back.

/// Who, why, and how long to wait for everybody's confirmation.
struct TradingOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Why, in a few words; it is kept on record.", valueName: "text"))
    var reason: String?
    @Option(help: ArgumentHelp("Who says so; letting trade again needs a name.", valueName: "name"))
    var by: String?
    @Option(help: ArgumentHelp("Seconds to wait for everybody's confirmation.", valueName: "seconds"))
    var wait = TradingOrder.defaultWaitSeconds
    @Flag(help: "The answer as JSON on one line.")
    var json = false

    func validate() throws {
        guard wait >= 0, wait <= TradingOrder.maxWaitSeconds else {
            throw ValidationError("--wait takes 0 to \(Int(TradingOrder.maxWaitSeconds)) seconds")
        }
    }

    /// Checked here too, so that a slip costs no connection.
    func order(_ state: TradingState) throws -> TradingOrder {
        let order = TradingOrder(state: state, reason: reason ?? "", by: by, waitSeconds: wait).withoutPaperwork
        if let problem = order.problem { throw Failure(.usage, problem) }
        return order
    }
}

extension SocketOptions {
    func carryOut(_ order: TradingOrder, json: Bool) throws {
        let result = try TradingDelivery(path: try path(), order: order).result { Terminal.complain("agentctl: \($0)") }
        if json { return Terminal.say(result.text) }
        let report = try ControlClient.decode(result, as: TradingReport.self)
        Terminal.say(report.message.visible)
    }
}

struct HaltCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "halt",
        abstract: "Stop trading: once this ends with 0, no new order leaves. Cancels still pass.",
        discussion: """
            The state is kept by the risk agent over every restart. Exits with 1 and names who has not confirmed in time; the \
            halt stays in force for them. agentctl resume lets trade again.
            """)

    @OptionGroup var socket: SocketOptions
    @OptionGroup var options: TradingOptions

    func run() throws { try socket.carryOut(try options.order(.halted), json: options.json) }
}

struct ResumeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resume", abstract: "Let trade again, in the name of a person and with a reason.")

    @OptionGroup var socket: SocketOptions
    @OptionGroup var options: TradingOptions

    func run() throws { try socket.carryOut(try options.order(.active), json: options.json) }
}

struct TradingCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "trading",
        abstract: "Set the trading state: active, reducing, halted or cancel-only.",
        discussion: """
            active       everything passes (the same as resume)
            reducing     only orders that bring a position nearer to 0
            halted       no new order (the same as halt); what is open stays
            cancel-only  no new order, and everything open is cancelled
            active and reducing need --by and --reason.
            """)

    @OptionGroup var socket: SocketOptions
    @OptionGroup var options: TradingOptions
    @Argument(help: ArgumentHelp("The state.", valueName: "state"))
    var state: String

    func validate() throws {
        guard TradingState(word: state) != nil else {
            throw ValidationError("there is no trading state '\(state)'; there are \(TradingState.words)")
        }
    }

    func run() throws {
        guard let wanted = TradingState(word: state) else { return }
        try socket.carryOut(try options.order(wanted), json: options.json)
    }
}
