import Wire

/// How far an agent's log has been shown, so that whoever asks again goes on behind it: lines have no numbers, but each has its
/// time to the microsecond. A value.
struct LogPosition {
    /// Lines remembered: the last ones may not be in the file, which a full disk does not let grow.
    static let maxRuns = 64

    /// A line, and how often it was shown in a row.
    private var runs: [(line: LogLine, count: Int)] = []

    mutating func note(_ line: LogLine) {
        let line = line.asKept
        // One that the file does not tell the time of is no mark.
        guard line.at != nil else { return }
        if runs.last?.line == line {
            runs[runs.count - 1].count += 1
        } else {
            runs.append((line, 1))
            if runs.count > Self.maxRuns { runs.removeFirst() }
        }
    }

    /// What of the log's last lines has not been shown. nil: it is not to be seen where it was, so lines may be missing before
    /// these.
    func rest(of lines: [LogLine]) -> ArraySlice<LogLine>? {
        if runs.isEmpty { return lines[...] }
        let kept = lines.map(\.asKept)
        for run in runs.reversed() {
            guard let first = kept.firstIndex(of: run.line) else { continue }
            let shown = kept[first...].prefix(run.count).prefix { $0 == run.line }
            return lines[shown.endIndex...]
        }
        return nil
    }
}
