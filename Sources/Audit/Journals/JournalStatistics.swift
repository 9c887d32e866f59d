import Journal
import Wire

/// What a journal holds, and whether all of it is as it was written.
public struct JournalStatistics: Sendable {
    public var agent: String
    public var directory: String
    public private(set) var survey: JournalSurvey?
    /// Records by type.
    public private(set) var types: [RecordType: Int] = [:]
    /// Bytes of payload by type.
    public private(set) var typeBytes: [RecordType: Int] = [:]
    /// Incarnations that wrote it, with the first record and the number of records of each.
    public private(set) var incarnations: [(epoch: UInt64, first: UInt64, records: Int)] = []
    /// First and last record.
    public private(set) var sequences: ClosedRange<UInt64>?
    /// Unix times in nanoseconds of the first and last message.
    public private(set) var times: ClosedRange<Int64>?
    /// Record at which the last snapshot begins; 0: none.
    public private(set) var lastSnapshot: UInt64 = 0
    /// Of each durable wire that leaves: what its consumer has not acknowledged.
    public private(set) var unacked: [UnackedMessages] = []
    private var isInSnapshot = false
    private var ports = JournalPorts()
    private var count = UnackedCount()

    init(agent: String, directory: String) {
        self.agent = agent
        self.directory = directory
    }

    /// Everything that is wrong with it.
    public var problems: [JournalError] { survey?.problems ?? [] }

    mutating func add(_ line: RecordLine) {
        let record = line.record
        types[record.type, default: 0] += 1
        typeBytes[record.type, default: 0] += record.payload.count
        if incarnations.last?.epoch == record.epoch {
            incarnations[incarnations.count - 1].records += 1
        } else {
            incarnations.append((record.epoch, record.sequence, 1))
        }
        sequences = (sequences?.lowerBound ?? record.sequence)...max(sequences?.upperBound ?? 0, record.sequence)
        if let at = line.unixNs {
            times = min(times?.lowerBound ?? at, at)...max(times?.upperBound ?? at, at)
        }
        let isSnapshot = record.type.name == "snapshot"
        if isSnapshot, !isInSnapshot { lastSnapshot = record.sequence }
        isInSnapshot = isSnapshot
        ports.note(record)
        if record.type == .sentFrame, let message = line.message { count.note(message.header) }
    }

    /// `acknowledged`: by wire, as the page of counters has it.
    mutating func finish(_ survey: JournalSurvey, acknowledged: [String: UInt64]) {
        self.survey = survey
        unacked = count.result(ports, pages: acknowledged)
    }

    /// "NeuralArb: 1,204 records in 2 segments, every checksum and link matches", or what is wrong, a line each.
    public var verification: [String] {
        guard let survey else { return [] }
        let count =
            "\(survey.records) record\(survey.records == 1 ? "" : "s") in \(survey.segments.count) segment"
            + (survey.segments.count == 1 ? "" : "s")
        var lines: [String] = []
        if problems.isEmpty {
            lines.append(
                "\(agent): \(count), \(survey.bytes) bytes: every checksum and every link of the chain matches")
        } else {
            lines.append("\(agent): \(count) are good, and:")
            lines += problems.map { "  \($0)" }
        }
        if let sequences, sequences.lowerBound > 1 {
            lines.append("  it begins with record \(sequences.lowerBound): older ones were trimmed")
        }
        if let torn = survey.tornTail { lines.append("  \(torn): no damage; it was never vouched for") }
        return lines
    }

    public var text: String {
        var lines = ["\(agent)  \(directory)"]
        func add(_ name: String, _ value: String) {
            lines.append("  " + name + String(repeating: " ", count: max(1, 16 - name.count)) + value)
        }
        let segments = survey?.segments ?? []
        add(
            "records",
            sequences.map { "\($0.lowerBound) to \($0.upperBound), \(survey?.records ?? 0) in all" } ?? "none")
        for (type, count) in types.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            add("", "\(type.name): \(count), \(typeBytes[type] ?? 0) bytes")
        }
        add("segments", "\(segments.count), \(survey?.bytes ?? 0) bytes")
        for segment in segments.suffix(AuditLimits.segmentLines) {
            add("", "from record \(segment.first): \(segment.records) records, \(segment.bytes) bytes")
        }
        add(
            "incarnations",
            incarnations.suffix(AuditLimits.segmentLines).map { "\($0.epoch) (\($0.records) from \($0.first))" }
                .joined(separator: ", "))
        if let times {
            add("time", "\(WallTime.text(unixNs: times.lowerBound)) to \(WallTime.text(unixNs: times.upperBound))")
        }
        add("last snapshot", lastSnapshot == 0 ? "none" : "record \(lastSnapshot)")
        for (index, wire) in unacked.enumerated() { add(index == 0 ? "unacknowledged" : "", wire.text) }
        if let torn = survey?.tornTail { add("unfinished", "\(torn)") }
        for problem in problems { add("problem", "\(problem)") }
        return lines.joined(separator: "\n")
    }

    public var json: JSONValue {
        let segments = survey?.segments ?? []
        return .members([
            "agent": .string(agent), "directory": .string(directory), "ok": .bool(problems.isEmpty),
            "records": .integer(Int64(survey?.records ?? 0)), "bytes": .integer(Int64(survey?.bytes ?? 0)),
            "first": sequences.map { .integer(Int64(clamping: $0.lowerBound)) } ?? .null,
            "last": sequences.map { .integer(Int64(clamping: $0.upperBound)) } ?? .null,
            "types": .object(
                types.sorted { $0.key.rawValue < $1.key.rawValue }.map {
                    .init(key: $0.key.name, value: .integer(Int64($0.value)))
                }),
            "segments": .array(
                segments.map {
                    .members([
                        "file": .string($0.file), "first": .integer(Int64(clamping: $0.first)),
                        "records": .integer(Int64($0.records)), "bytes": .integer(Int64($0.bytes)),
                    ])
                }),
            "incarnations": .array(
                incarnations.map {
                    .members([
                        "incarnation": .integer(Int64(clamping: $0.epoch)),
                        "first": .integer(Int64(clamping: $0.first)),
                        "records": .integer(Int64($0.records)),
                    ])
                }),
            "firstAt": times.map { .string(WallTime.text(unixNs: $0.lowerBound)) } ?? .null,
            "lastAt": times.map { .string(WallTime.text(unixNs: $0.upperBound)) } ?? .null,
            "lastSnapshot": lastSnapshot == 0 ? .null : .integer(Int64(clamping: lastSnapshot)),
            "unacknowledged": .array(unacked.map(\.json)),
            "unfinishedBytes": .integer(Int64(survey?.tornTail?.bytes ?? 0)),
            "problems": .array(
                problems.map {
                    .members([
                        "file": $0.file.map { .string($0) } ?? .null,
                        "offset": $0.offset.map { .integer(Int64($0)) } ?? .null, "problem": .string("\($0)"),
                    ])
                }),
        ])
    }
}
