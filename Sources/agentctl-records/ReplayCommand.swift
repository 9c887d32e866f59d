import ArgumentParser
import Commands
import Glibc
import Wire

/// Runs the journal of a durable agent through the executable that the agent is started from now.
struct ReplayCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay",
        abstract: "Replay an agent's journal through its current executable and compare what it sends.",
        discussion: """
            Every event in the journal goes through the agent again; each message must be the same, byte for byte. At the first
            one that is not, both are printed and the exit code is 1. Changes nothing, and works while the agent runs.
            """)

    @OptionGroup var socket: SocketOptions
    @Argument(help: "A durable agent.")
    var agent: String

    func run() throws {
        let folder = "\(try socket.runDirectory())/agents/\(agent)"
        let program = "\(folder)/program"
        guard access(program, X_OK) == 0 else {
            throw Failure(
                .refused,
                "\(program): \(String(cString: strerror(errno))). Only an agent with a durable port that has been "
                    + "started can be replayed; see `agentctl status`")
        }
        let words: [String] = [program, "--replay", "\(folder)/journal"]
        var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) }
        arguments.append(nil)
        execv(program, arguments)
        throw Failure(.refused, "\(program) cannot be run: \(String(cString: strerror(errno)))")
    }
}
