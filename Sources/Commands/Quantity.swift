/// Numbers as people read them, in few columns.
enum Quantity {
    /// `3.2s`, `4m05s`, `2h03m`, `3d04h`.
    static func duration(seconds: Double) -> String {
        guard seconds.isFinite, seconds >= 0, seconds < 1e12 else { return "-" }
        if seconds < 59.95 { return "\(rounded(seconds, places: 1))s" }
        let whole = Int(seconds.rounded())
        if whole < 3_600 { return "\(whole / 60)m\(twoDigits(whole % 60))s" }
        if whole < 86_400 { return "\(whole / 3_600)h\(twoDigits(whole / 60 % 60))m" }
        return "\(whole / 86_400)d\(twoDigits(whole / 3_600 % 24))h"
    }

    /// `512`, `1.5K`, `12M`.
    static func bytes(_ count: Int64) -> String {
        guard count >= 0 else { return "-" }
        var value = Double(count)
        for unit in ["", "K", "M", "G", "T"] {
            if value < 1_023.5 || unit == "T" {
                return unit.isEmpty
                    ? "\(count)" : (value < 9.95 ? rounded(value, places: 1) : rounded(value, places: 0)) + unit
            }
            value /= 1_024
        }
        return "\(count)"
    }

    /// `850ns`, `12.3µs`, `4.5ms`, `2.0s`; `-` for none.
    static func nanoseconds(_ count: Int64?) -> String {
        guard let count, count >= 0 else { return "-" }
        if count < 1_000 { return "\(count)ns" }
        if count < 1_000_000 { return rounded(Double(count) / 1e3, places: 1) + "µs" }
        if count < 1_000_000_000 { return rounded(Double(count) / 1e6, places: 1) + "ms" }
        return rounded(Double(count) / 1e9, places: 1) + "s"
    }

    /// `0.0%`.
    static func percent(_ value: Double) -> String { value.isFinite ? rounded(value, places: 1) + "%" : "-" }

    /// Decimal text with exactly `places` (0 or 1) digits after the point.
    static func rounded(_ value: Double, places: Int) -> String {
        guard value.isFinite, abs(value) < 1e15 else { return "-" }
        if places == 0 { return "\(Int(value.rounded()))" }
        let tenths = Int((value * 10).rounded())
        return "\(tenths < 0 ? "-" : "")\(abs(tenths) / 10).\(abs(tenths) % 10)"
    }

    private static func twoDigits(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
}
