import Wire

/// `agentctl status`, its arguments read.
package struct StatusLook: Equatable {
    var socket: String?
    var json = false
    var limits = false
    var check = false
    /// Only these; empty: all.
    var agents: [String] = []

    package func run() throws {
        var client = try ControlClient(path: try SocketOptions.path(socket))
        let (whole, text) = try client.status()
        let report = try Self.select(agents, of: whole)
        if json {
            Terminal.say(try Self.select(agents, ofJSON: text))
        } else {
            let lines = StatusTable.lines(
                report, width: Terminal.columns, colour: Terminal.usesColour, showsLimits: limits)
            Terminal.say(lines.joined(separator: "\n"))
        }
        let failed = report.agents.filter { $0.state == .failed }.map(\.name)
        guard check, !failed.isEmpty else { return }
        throw Failure(.agentFailed, "failed: \(failed.joined(separator: ", ")); `agentctl why \(failed[0])` tells why")
    }

    /// The same of a report as text, with all that only a newer supervisor has to say.
    static func select(_ names: [String], ofJSON text: String) throws -> String {
        guard !names.isEmpty, case .object(let members) = try JSONValue.parse(Array(text.utf8), file: "answer").get()
        else { return text }
        let selected = members.map { member in
            guard member.key == "agents", let agents = member.value.array else { return member }
            let selected = agents.filter { $0["name"]?.string.map(names.contains) ?? false }
            return JSONValue.Member(key: member.key, value: .array(selected))
        }
        return JSONValue.object(selected).text
    }

    /// The report about these alone; about all when none is named.
    static func select(_ names: [String], of report: StatusReport) throws -> StatusReport {
        guard !names.isEmpty else { return report }
        let known = report.agents.map(\.name)
        if let unknown = names.first(where: { !known.contains($0) }) {
            let remedy = NearestName.remedy(unknown, among: known, otherwise: "`agentctl status` lists them")
            throw Failure(.refused, "there is no agent \"\(unknown)\"; \(remedy)")
        }
        var selected = report
        selected.agents.removeAll { !names.contains($0.name) }
        return selected
    }
}

extension StatusLook {
    /// Arguments that plainly ask for it; nil for whatever else they may be, which is ArgumentParser's to read.
    ///
    /// By hand, because monitors ask every second, and a third of the time from the start of agentctl to its end would go into finding
    /// out that it was asked for this.
    package init?(plainly arguments: [String]) {
        var rest = arguments[...]
        if rest.first == "--socket", rest.count > 1 {
            socket = rest.dropFirst().first
            rest = rest.dropFirst(2)
        }
        guard rest.popFirst() == "status" else { return nil }
        while let word = rest.popFirst() {
            switch word {
            case "--json": json = true
            case "--limits": limits = true
            case "--check": check = true
            case "--socket" where socket == nil:
                guard let path = rest.popFirst() else { return nil }
                socket = path
            case _ where word.hasPrefix("-"): return nil
            default: agents.append(word)
            }
        }
        if let socket, socket.hasPrefix("-") { return nil }
    }
}
