import ArgumentParser
import Audit
import Commands
import Journal
import Wire

/// Reads journals in the run directory, also of running agents and without a supervisor.
struct JournalCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "journal", abstract: "Check, show or measure the journals that agents write.",
        discussion: """
            AGENT is an agent of the run directory, or (with a '/') a journal's folder. Journals of running agents can be read,
            and no supervisor is needed.
            """,
        subcommands: [JournalVerifyCommand.self, JournalCatCommand.self, JournalStatCommand.self])
}

struct JournalVerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract:
            "Check every checksum and every link of the hash chain; exits with 1 and tells file and offset if one fails."
    )

    @OptionGroup var socket: SocketOptions
    @Argument(help: "Agents or folders; none: every journal of the run.")
    var agents: [String] = []
    @Flag(help: "As JSON.")
    var json = false

    func run() throws {
        let statistics = try journals(agents, socket).map { $0.statistics() }
        if json {
            Terminal.say(JSONValue.array(statistics.map(\.json)).text)
        } else {
            Terminal.say(statistics.flatMap(\.verification).joined(separator: "\n"))
        }
        let damaged = statistics.filter { !$0.problems.isEmpty }.map(\.agent)
        guard damaged.isEmpty else { throw Failure(.refused, "damaged: \(damaged.joined(separator: ", "))") }
    }
}

struct JournalStatCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stat",
        abstract: "Segments, records, bytes, incarnations, time range and last snapshot of journals.")

    @OptionGroup var socket: SocketOptions
    @Argument(help: "Agents or folders; none: every journal of the run.")
    var agents: [String] = []
    @Flag(help: "As JSON.")
    var json = false

    func run() throws {
        let statistics = try journals(agents, socket).map { $0.statistics() }
        Terminal.say(
            json
                ? JSONValue.array(statistics.map(\.json)).text
                : statistics.map(\.text).joined(separator: "\n"))
    }
}

struct JournalCatCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cat",
        abstract: "Show the records of a journal, one a line: number, incarnation, type, time, size, what it says.")

    @OptionGroup var socket: SocketOptions
    @Argument(help: "An agent or a journal's folder.")
    var agent: String
    @Option(
        help: ArgumentHelp(
            "Only records of these types: \(RecordType.knownNames.joined(separator: ", ")).", valueName: "type"))
    var type: [String] = []
    @Option(help: ArgumentHelp("Only messages with this payload, such as Proposal.", valueName: "name"))
    var payload: [String] = []
    @Option(help: ArgumentHelp("Only these records: 5, 5-, -9 or 5-9.", valueName: "range"))
    var records: String?
    @Option(help: ArgumentHelp("Only the last so many of them.", valueName: "count"))
    var last: Int?
    @Flag(help: "One JSON object a line.")
    var json = false

    func validate() throws {
        for name in type where RecordType(name: name) == nil {
            throw ValidationError(
                "--type: no records '\(name)'; there are \(RecordType.knownNames.joined(separator: ", "))")
        }
        for name in payload where PayloadType(name: name) == nil {
            throw ValidationError(
                "--payload: no message '\(name)'; there are \(PayloadType.allCases.map(\.name).joined(separator: ", "))"
            )
        }
        if let records, JournalFilter.range(records) == nil {
            throw ValidationError("--records takes 5, 5-, -9 or 5-9, not '\(records)'")
        }
        if let last, !(0...1_000_000).contains(last) { throw ValidationError("--last takes 0 to 1000000") }
    }

    func run() throws {
        let types = type.compactMap { RecordType(name: $0) }
        let filter = JournalFilter(
            types: types.isEmpty ? nil : Set(types),
            range: records.flatMap { JournalFilter.range($0) } ?? 0...UInt64.max,
            payloads: payload.isEmpty ? nil : Set(payload), last: last)
        let problem = try journals([agent], socket)[0].cat(filter) { line in
            Terminal.put(json ? line.json.text : line.text)
        }
        if let problem { throw Failure(.refused, problem) }
    }
}

/// The journals that were named, or all of the run.
private func journals(_ names: [String], _ socket: SocketOptions) throws -> [JournalFile] {
    do {
        guard names.isEmpty else {
            return try names.map { try JournalFile($0, runDirectory: { try socket.runDirectory() }) }
        }
        return try JournalFile.all(runDirectory: try socket.runDirectory())
    } catch let error as AuditError {
        throw Failure(.refused, "\(error)")
    }
}
