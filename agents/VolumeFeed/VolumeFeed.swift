import AgentKit
import Recording
import Wire

/// Publishes trading volume by venue from files of FINRA and the exchanges; see `VolumeSource`.
@main struct VolumeFeed: SourceMain {
    typealias Feed = VolumeSource
}

/// Venue volumes of a file, in the order in which they became public.
///
/// The file is, in this order: what the environment variable `VOLUME_FEED` names, what `settings.file` names, or the
/// made-up `sample.psv` in the agent's folder, whose numbers are labelled `DATA_ORIGIN_SIMULATED`. It may be a FINRA ATS
/// weekly CSV or a Reg SHO daily file (`VolumeTable`), plain or gzip. It is read whole and sorted, because these files
/// are sorted by venue or symbol, not by publication. Bad lines are reported with their number and skipped.
struct VolumeSource: Source {
    static let variable = "VOLUME_FEED"
    static let sampleName = "sample.psv"

    let pace: Pace
    private let output: OutputPort
    private let path: String
    private let origin: DataOrigin
    private var table: VolumeTable
    private var position = 0
    private var notes: [(level: LogLevel, text: String)]

    init(_ start: AgentStart) throws {
        let file = try start.settings.text("file", default: "")
        if let named = start.environment[Self.variable], !named.isEmpty {
            path = named
        } else if !file.isEmpty {
            path = file.hasPrefix("/") ? file : "\(start.folder)/\(file)"
        } else {
            path = "\(start.folder)/\(Self.sampleName)"
        }
        origin = path == "\(start.folder)/\(Self.sampleName)" ? .simulated : .recorded
        pace = try Pace(try start.settings.text("pace", default: "max"))
        output = try start.output(
            "volumes", .venueVolume, whenFull: pace == .asFastAsTaken ? .wait : .drop)
        do {
            table = try VolumeTable(path: path)
        } catch {
            throw AgentFailure(
                "\(error). Name a FINRA ATS weekly CSV or a Reg SHO daily file in \(Self.variable) or settings.file")
        }
        notes = table.badLines
        if origin == .simulated {
            notes.append((.info, "\(path): made-up volumes; set \(Self.variable) for real ones"))
        }
    }

    mutating func next() throws -> SourceItem? {
        guard position < table.rows.count else { return nil }
        var volume = table.rows[position]
        position += 1
        volume.dataOrigin = origin
        defer { notes = [] }
        return SourceItem(
            worldTimeNs: volume.publishedTimeNs, messages: [(output, .venueVolume(volume))], notes: notes)
    }

    var summary: String {
        "\(path): \(position) venue volumes of \(table.symbolCount) symbols sent, \(table.badLineCount) bad lines skipped"
    }
}
