import CLinux
import Foundation

/// Wall-clock time for people: microseconds since 1970, UTC. Never used to decide anything.
struct Timestamp: Comparable, Hashable, Sendable {
    var microseconds: Int64

    static func now() -> Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(microseconds: Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000)
    }

    static func < (left: Timestamp, right: Timestamp) -> Bool { left.microseconds < right.microseconds }

    /// RFC 3339, UTC, microseconds: `2026-08-08T12:00:00.123456Z`.
    var text: String {
        var bytes: [UInt8] = []
        append(to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    func append(to bytes: inout [UInt8]) {
        let seconds = microseconds >= 0 ? microseconds / 1_000_000 : (microseconds - 999_999) / 1_000_000
        let (days, second) = Self.floorDivide(seconds, 86_400)
        let (year, month, day) = Self.civil(days)
        Self.append(year, 4, &bytes)
        bytes.append(UInt8(ascii: "-"))
        Self.append(month, 2, &bytes)
        bytes.append(UInt8(ascii: "-"))
        Self.append(day, 2, &bytes)
        bytes.append(UInt8(ascii: "T"))
        Self.append(second / 3600, 2, &bytes)
        bytes.append(UInt8(ascii: ":"))
        Self.append(second / 60 % 60, 2, &bytes)
        bytes.append(UInt8(ascii: ":"))
        Self.append(second % 60, 2, &bytes)
        bytes.append(UInt8(ascii: "."))
        Self.append(microseconds - seconds * 1_000_000, 6, &bytes)
        bytes.append(UInt8(ascii: "Z"))
    }

    private static func append(_ value: Int64, _ width: Int, _ bytes: inout [UInt8]) {
        let digits = String(value)
        for _ in 0..<max(0, width - digits.utf8.count) { bytes.append(48) }
        bytes.append(contentsOf: digits.utf8)
    }

    private static func floorDivide(_ value: Int64, _ by: Int64) -> (Int64, Int64) {
        let quotient = value >= 0 ? value / by : (value - by + 1) / by
        return (quotient, value - quotient * by)
    }

    /// Days since 1970-01-01 to a Gregorian date (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms").
    private static func civil(_ days: Int64) -> (Int64, Int64, Int64) {
        let z = days + 719_468
        let (era, dayOfEra) = floorDivide(z, 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shifted = (5 * dayOfYear + 2) / 153
        let month = shifted < 10 ? shifted + 3 : shifted - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * shifted + 2) / 5 + 1)
    }
}
