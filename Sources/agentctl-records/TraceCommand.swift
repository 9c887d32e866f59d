import ArgumentParser
import Audit
import Commands
import Wire

/// Reads the run directory, so it also works after the supervisor has ended.
struct TraceCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "trace",
        abstract: "The way of one market event through the agents, or the recent ways that ended in a fill.",
        discussion: """
            ID is a trace (16 hexadecimal digits), an order id or a proposal id. Without ID: the recent fills and their traces.
            It reads what the agents have recorded in the run directory, also after the supervisor has ended.
            """)

    @OptionGroup var socket: SocketOptions
    @Argument(help: "A trace, an order id or a proposal id.")
    var id: String?
    @Flag(help: "The newest way that is recorded from its tick to its fill.")
    var last = false
    @Flag(help: "With every risk check: what it saw and what it allows.")
    var checks = false
    @Flag(help: "As JSON; holds the checks in any case.")
    var json = false

    func validate() throws {
        if last, id != nil { throw ValidationError("--last takes no ID") }
    }

    func run() throws {
        let runDirectory = try socket.runDirectory()
        do {
            guard let traces = try traces(in: runDirectory) else { return }
            for trace in traces {
                let story = try TraceStory.load(runDirectory: runDirectory, trace: trace)
                Terminal.say(json ? story.json.text : story.text(colour: Terminal.usesColour, showsChecks: checks))
            }
        } catch let error as AuditError {
            throw Failure(.refused, "\(error)")
        }
    }

    /// The traces that were asked for; nil when a list was wanted and has been printed.
    private func traces(in runDirectory: String) throws -> [TraceID]? {
        if let id, id.utf8.count == 16, let trace = TraceID(id) { return [trace] }
        let finder = try TraceFinder.load(runDirectory: runDirectory)
        if let id {
            let found = finder.traces(orderID: id) + finder.traces(proposalID: id)
            guard !found.isEmpty else {
                throw Failure(
                    .refused, "nothing recorded of '\(id)' in \(runDirectory); `agentctl trace` lists what there is")
            }
            return found
        }
        if last {
            guard let fill = finder.latest else {
                throw Failure(.refused, "no fill is recorded in \(runDirectory) yet")
            }
            return [fill.trace]
        }
        Terminal.say(json ? finder.json().text : finder.text())
        return nil
    }
}
