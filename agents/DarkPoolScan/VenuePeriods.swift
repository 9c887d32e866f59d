import Market
import Wire

/// Venue volumes, gathered into periods and measured without looking ahead.
///
/// A row counts only from its publication on. The clock is the rows' own: a period is closed and measured when a row
/// with a later publication than all of its own comes (or `closeAll`), against the periods closed before it. So a week
/// published after four weeks is compared with what was public then, not with what had happened by then.
struct VenuePeriods {
    /// Symbols times lengths of period that have a history.
    static let maxSeries = 2_048
    /// Periods gathered at the same time.
    static let maxOpenPeriods = 4_096

    struct Parameters {
        /// Periods compared with, and how many there must be.
        var window: Int
        var minimum: Int
    }

    enum Measure: String, CaseIterable {
        case darkShare = "dark_share"
        case darkShortRatio = "dark_short_ratio"
        case darkTradeSize = "dark_trade_size"
        case concentration = "venue_concentration"
    }

    /// One measured period.
    struct Reading: Equatable {
        var symbol: String
        var measure: Measure
        var value: Double
        /// Nil while the history is too short.
        var z: Double?
        var publishedNs: Int64
        var periodNs: Int64
        var observations: Int
        var dataOrigin: DataOrigin
    }

    struct Counts: Equatable {
        var rows: UInt64 = 0
        /// Came after its period was measured.
        var late: UInt64 = 0
        /// Replaced a row of the same venue and period.
        var revised: UInt64 = 0
        /// Published before its period is over, negative, more short than traded, or without name; or beyond a limit.
        var refused: UInt64 = 0
    }

    private struct PeriodKey: Hashable {
        var symbol: String
        var startNs: Int64
        var periodNs: Int64
    }

    private struct SeriesKey: Hashable {
        var symbol: String
        var periodNs: Int64
    }

    private struct Series {
        var windows: [TrailingWindow]
        var lastStartNs = Int64.min
    }

    private(set) var counts = Counts()
    private let parameters: Parameters
    private var open: [PeriodKey: VenueTally] = [:]
    private var series: [SeriesKey: Series] = [:]
    /// Newest publication seen.
    private var publicNs = Int64.min

    init(_ parameters: Parameters) {
        self.parameters = parameters
    }

    var hasOpenPeriods: Bool { !open.isEmpty }

    /// Takes a row and returns what its publication closes, in order of publication, start and symbol.
    mutating func add(_ volume: VenueVolume) -> [Reading] {
        counts.rows += 1
        guard isSound(volume) else {
            counts.refused += 1
            return []
        }
        var readings: [Reading] = []
        if volume.publishedTimeNs > publicNs {
            publicNs = volume.publishedTimeNs
            if !open.isEmpty { readings = close { $0.publishedNs < volume.publishedTimeNs } }
        }
        insert(volume)
        return readings
    }

    /// Measures everything that is gathered; for when no further row comes.
    mutating func closeAll() -> [Reading] {
        close { _ in true }
    }

    private func isSound(_ volume: VenueVolume) -> Bool {
        let (end, overflow) = volume.periodStartTimeNs.addingReportingOverflow(volume.periodNs)
        return !overflow && volume.periodNs > 0 && volume.publishedTimeNs >= end
            && volume.volumeE8 >= 0 && volume.shortVolumeE8 >= 0 && volume.shortVolumeE8 <= volume.volumeE8
            && !volume.symbol.isEmpty && !volume.venue.isEmpty
    }

    private mutating func insert(_ volume: VenueVolume) {
        let key = PeriodKey(
            symbol: volume.symbol, startNs: volume.periodStartTimeNs, periodNs: volume.periodNs)
        let history = series[SeriesKey(symbol: key.symbol, periodNs: key.periodNs)]
        guard key.startNs > history?.lastStartNs ?? .min else {
            counts.late += 1
            return
        }
        guard open[key] != nil || open.count < Self.maxOpenPeriods else {
            counts.refused += 1
            return
        }
        switch open[key, default: VenueTally(volume)].add(volume) {
        case .added: break
        case .revised: counts.revised += 1
        case .refused: counts.refused += 1
        }
    }

    private mutating func close(where isClosed: (VenueTally) -> Bool) -> [Reading] {
        let closed = open.filter { isClosed($0.value) }.sorted { left, right in
            (left.value.publishedNs, left.key.startNs, left.key.symbol, left.key.periodNs)
                < (right.value.publishedNs, right.key.startNs, right.key.symbol, right.key.periodNs)
        }
        return closed.flatMap { key, tally in
            open[key] = nil
            return measure(tally)
        }
    }

    private mutating func measure(_ tally: VenueTally) -> [Reading] {
        let key = SeriesKey(symbol: tally.symbol, periodNs: tally.periodNs)
        guard series[key] != nil || series.count < Self.maxSeries else {
            counts.refused += 1
            return []
        }
        let empty = TrailingWindow(capacity: parameters.window)
        var history = series[key] ?? Series(windows: Measure.allCases.map { _ in empty })
        history.lastStartNs = max(history.lastStartNs, tally.periodStartNs)
        var readings: [Reading] = []
        for (index, measure) in Measure.allCases.enumerated() {
            guard let value = value(of: measure, tally) else { continue }
            readings.append(
                Reading(
                    symbol: tally.symbol, measure: measure, value: value,
                    z: history.windows[index].z(value, minimum: parameters.minimum), publishedNs: tally.publishedNs,
                    periodNs: tally.periodNs, observations: tally.venueCount + history.windows[index].count,
                    dataOrigin: tally.dataOrigin))
            history.windows[index].add(value)
        }
        series[key] = history
        return readings
    }

    private func value(of measure: Measure, _ tally: VenueTally) -> Double? {
        switch measure {
        case .darkShare: tally.darkShare
        case .darkShortRatio: tally.darkShortRatio
        case .darkTradeSize: tally.darkTradeSize
        case .concentration: tally.concentration
        }
    }
}
