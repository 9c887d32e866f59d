import ArgumentParser
import Audit
import Commands
import Wire

/// Reads the run directory, so it also works after the supervisor has ended.
struct AuditCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit",
        abstract: "Why an order was sent and what came of it: tick, signal, proposal, size, decision, orders, fills.",
        discussion: """
            ID is an order id or a proposal id. Each step has its time, process, incarnation and the time since the step that it
            answers; the decision has every check and the account that it saw.
            """)

    @OptionGroup var socket: SocketOptions
    @Argument(help: "An order id or a proposal id.")
    var id: String
    @Flag(help: "As JSON.")
    var json = false

    func run() throws {
        do {
            let audit = try OrderAudit.load(runDirectory: try socket.runDirectory(), id: id)
            Terminal.say(json ? audit.json.text : audit.text(colour: Terminal.usesColour))
        } catch let error as AuditError {
            throw Failure(.refused, "\(error)")
        }
    }
}
