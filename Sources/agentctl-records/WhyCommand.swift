import ArgumentParser
import Audit
import Commands
import Glibc
import Wire

/// Reads the run directory, so it also works after the supervisor has ended.
struct WhyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "why",
        abstract: "Why an agent ended or is refused: what happened, what to do next, and what it is known from.",
        discussion: """
            It reads the death certificates in the run directory, also after the supervisor has ended; one that runs says beside them \
            why an agent is failed now.
            """)

    @OptionGroup var socket: SocketOptions
    @Flag(help: "The certificate as JSON, or why it is refused where there is none; with --all a list, newest first.")
    var json = false
    @Flag(help: "Every end that is still on record, newest first, a line each.")
    var all = false
    @Option(name: .shortAndLong, help: ArgumentHelp("The end of this incarnation.", valueName: "number"))
    var incarnation: UInt64?
    @Argument(help: ArgumentHelp("The agent.", valueName: "agent"))
    var agent: String

    func run() throws {
        let runDirectory = try socket.runDirectory()
        let now = socket.report()
        let report = all || incarnation != nil ? nil : now
        let failed = report.flatMap { FailureText.failed(agent, in: $0) }
        let standing = failed.map { FailureText.lines($0).joined(separator: "\n") }
        // A refusal is the answer itself; what holds of one that ended follows from its end.
        let isRefused = failed?.failure == .misconfigured
        if isRefused, !json, let standing { Terminal.say(standing) }
        let known = DeathCertificates.agents(runDirectory: runDirectory) + (failed == nil ? [] : [agent])
        guard known.contains(agent) else {
            let remedy = NearestName.remedy(agent, among: known, otherwise: "`agentctl status` lists the agents")
            throw Failure(.refused, "nothing is recorded of an agent \"\(agent)\" in \(runDirectory); \(remedy)")
        }
        let lastEnd =
            now?.agents.first { $0.name == agent }.map { LastEnd($0) }
            ?? LastEnd(
                agent: agent,
                incarnation: DeathCertificates.lastIncarnation(runDirectory: runDirectory, agent: agent))
        var certificates = Self.certificates(of: agent, runDirectory, lastEnd)
        if let incarnation {
            certificates.removeAll { $0.incarnation != incarnation }
            guard !certificates.isEmpty else {
                throw Failure(
                    .refused,
                    "no end of incarnation \(incarnation) of \(agent) is on record; --all lists those that are")
            }
        }
        let gap = incarnation == nil ? lastEnd.gap(newest: certificates.first) : nil
        guard let newest = certificates.first else {
            if json, let failed { return Terminal.say(FailureText.json(failed)) }
            if let standing {
                if !isRefused { Terminal.say(standing) }
                // Never started is no gap.
                return lastEnd.isOnRecord(nil) ? () : Terminal.say("\n\(gap ?? "")")
            }
            if json, !lastEnd.isOnRecord(nil), let gap { Terminal.complain("agentctl: \(gap)") }
            return Terminal.say(json ? (all ? "[]" : "null") : gap ?? "")
        }
        if let gap {
            // What is read by a program stays what it is.
            if json { Terminal.complain("agentctl: \(gap)") } else { Terminal.say("\(gap)\n") }
        }
        if json {
            let text = certificates.prefix(all ? certificates.count : 1)
                .map { String(decoding: $0.json.dropLast(), as: UTF8.self) }.joined(separator: ",\n")
            return Terminal.say(all ? "[\(text)]" : text)
        }
        if all {
            for certificate in certificates {
                Terminal.say("\(certificate.incarnation) \(certificate.at) \(certificate.summary)")
            }
            return
        }
        if isRefused { Terminal.say("\nIts last end before that:") }
        let places = newest.executable.map { SymbolTable.names(of: newest.frames, in: $0) } ?? []
        Terminal.say(newest.text(places: places, colour: Terminal.usesColour))
        if !isRefused, let standing { Terminal.say("\n\(standing)") }
    }

    /// A certificate is written a moment after the restart that follows: so long it is waited for, with so many looks.
    private static let patience = (looks: 50, pauseUs: UInt32(20_000))

    private static func certificates(of agent: String, _ runDirectory: String, _ lastEnd: LastEnd) -> [DeathCertificate]
    {
        for _ in 0..<patience.looks {
            let found = DeathCertificates.read(runDirectory: runDirectory, agent: agent)
            let isWhole = lastEnd.seen.map { seen in found.contains { $0.at >= seen.at } } ?? true
            if isWhole, lastEnd.isOnRecord(found.first) { return found }
            usleep(patience.pauseUs)
        }
        return DeathCertificates.read(runDirectory: runDirectory, agent: agent)
    }
}
