import Journal
import Wire

/// A record of the supervisor's own journal (`<run>/operator`): what an operator commanded, and what came of it. Read as
/// plain JSON, so that a member that this build does not know is shown all the same.
public struct OperationRecord: Sendable {
    public let json: JSONValue

    /// nil for other records. What does not parse is shown as text.
    init?(_ record: JournalRecord) {
        guard record.type == .operation else { return nil }
        if case .success(let value) = JSONValue.parse(record.payload, file: "operator") {
            json = value
        } else {
            json = .string(String(decoding: record.payload, as: UTF8.self))
        }
    }

    var unixNs: Int64? { json["atUnixNs"]?.integer }

    /// "command HALTED to RiskSentinel by Ada (uid 0, pid 4711) at 1.1: fat finger".
    var text: String {
        guard let kind = json["kind"]?.string else { return json.text }
        var words = [kind]
        let command = json["command"]
        if let state = command?["state"]?.string ?? json["news"]?["state"]?.string { words.append(state) }
        if let agent = command?["agent"]?.string ?? json["agent"]?.string {
            words.append(kind == "command" ? "to \(agent)" : "of \(agent)")
        }
        if kind == "command", let command {
            let peer = ["uid", "pid"].compactMap { key in command[key]?.integer.map { "\(key) \($0)" } }
            words.append("by " + ([command["by"]?.string].compactMap { $0 } + peer).joined(separator: ", "))
        } else if let by = json["news"]?["by"]?.string {
            words.append("by \(by)")
        }
        if let by = json["confirmedBy"]?.array {
            words.append("by " + by.compactMap(\.string).joined(separator: ", "))
        }
        if let sequence = (command ?? json)["sequence"]?.integer { words.append("#\(sequence)") }
        if json["isCarried"] != nil { words.append("(carried on)") }
        let reason = command?["reason"]?.string ?? json["news"]?["reason"]?.string
        return words.joined(separator: " ")
            + [reason, json["note"]?.string].compactMap { $0 }.filter { !$0.isEmpty }.map { ": \($0)" }.joined()
    }
}
