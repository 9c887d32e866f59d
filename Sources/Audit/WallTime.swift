import Wire

/// Unix time as text, in UTC.
public enum WallTime {
    /// "2026-11-22T11:35:17.039123Z".
    public static func text(unixNs: Int64) -> String {
        let (date, time) = parts(unixNs)
        return "\(date)T\(time)Z"
    }

    /// "11:35:17.039123".
    static func timeOfDay(unixNs: Int64) -> String {
        parts(unixNs).time
    }

    private static func parts(_ unixNs: Int64) -> (date: String, time: String) {
        let seconds = floorDivide(unixNs, 1_000_000_000)
        let microseconds = (unixNs - seconds * 1_000_000_000) / 1_000
        let days = floorDivide(seconds, 86_400)
        let second = seconds - days * 86_400
        let (year, month, day) = civil(days)
        let date = "\(padded(year, 4))-\(padded(month, 2))-\(padded(day, 2))"
        let time =
            "\(padded(second / 3_600, 2)):\(padded(second / 60 % 60, 2)):\(padded(second % 60, 2)).\(padded(microseconds, 6))"
        return (date, time)
    }

    /// Days since 1970-01-01 to year, month, day (Hinnant, "chrono-Compatible Low-Level Date Algorithms").
    private static func civil(_ days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let shifted = days + 719_468
        let era = floorDivide(shifted, 146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
    }

    private static func floorDivide(_ value: Int64, _ by: Int64) -> Int64 {
        value >= 0 ? value / by : -((-value + by - 1) / by)
    }

    private static func padded(_ value: Int64, _ width: Int) -> String {
        let digits = "\(value)"
        return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
    }
}

extension Nanoseconds {
    /// "412 ns", "41.3 µs", "1.27 ms", "3.05 s": three digits that count.
    var shortText: String {
        let magnitude = count.magnitude
        switch magnitude {
        case 0..<1_000: return "\(count) ns"
        case 0..<1_000_000: return scaled(1_000) + " µs"
        case 0..<1_000_000_000: return scaled(1_000_000) + " ms"
        default: return scaled(1_000_000_000) + " s"
        }
    }

    private func scaled(_ unit: Int64) -> String {
        let whole = abs(count / unit)
        let decimals: Int64 = whole >= 100 ? 1 : whole >= 10 ? 10 : 100
        let rounded = (Int64(clamping: count.magnitude) + unit / decimals / 2) / (unit / decimals)
        let sign = count < 0 ? "-" : ""
        guard decimals > 1 else { return "\(sign)\(rounded)" }
        let fraction = "\(rounded % decimals)"
        let zeros = String(repeating: "0", count: (decimals == 10 ? 1 : 2) - fraction.utf8.count)
        return "\(sign)\(rounded / decimals).\(zeros)\(fraction)"
    }
}
