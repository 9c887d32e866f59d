/// When a text was published, as files write it, as Unix time in nanoseconds.
enum PublishedTime {
    /// A whole number of seconds, milliseconds, microseconds or nanoseconds since 1970 (told apart by their size: each
    /// range reaches from 1973 to 2286), or ISO 8601 as "2024-08-08T12:34:56.789Z" (UTC; a blank instead of T, no
    /// seconds, or the date alone are understood too). Nil for anything else.
    static func parse(_ text: String) -> Int64? {
        if let number = Int64(text) { return unixNs(number) }
        return iso8601(Array(text.utf8))
    }

    static func unixNs(_ number: Int64) -> Int64? {
        switch number {
        case 100_000_000..<10_000_000_000: number * 1_000_000_000
        case 100_000_000_000..<10_000_000_000_000: number * 1_000_000
        case 100_000_000_000_000..<10_000_000_000_000_000: number * 1_000
        case 100_000_000_000_000_000...: number
        default: nil
        }
    }

    private static func iso8601(_ bytes: [UInt8]) -> Int64? {
        func number(_ range: Range<Int>) -> Int? {
            guard range.upperBound <= bytes.count else { return nil }
            var value = 0
            for index in range {
                let digit = bytes[index] &- UInt8(ascii: "0")
                guard digit <= 9 else { return nil }
                value = value * 10 + Int(digit)
            }
            return value
        }
        func has(_ byte: Unicode.Scalar, at index: Int) -> Bool {
            index < bytes.count && bytes[index] == UInt8(ascii: byte)
        }
        guard let year = number(0..<4), has("-", at: 4), let month = number(5..<7), has("-", at: 7),
            let day = number(8..<10), let days = days(year, month, day)
        else { return nil }
        let midnight = Int64(days) * 86_400
        if bytes.count == 10 { return midnight * 1_000_000_000 }
        guard has("T", at: 10) || has(" ", at: 10), let hour = number(11..<13), has(":", at: 13),
            let minute = number(14..<16), hour < 24, minute < 60
        else { return nil }
        var (second, fraction, end) = (0, 0, 16)
        if has(":", at: 16) {
            guard let value = number(17..<19), value < 60 else { return nil }
            (second, end) = (value, 19)
            if has(".", at: 19) {
                end = 20
                while end < bytes.count, bytes[end] &- UInt8(ascii: "0") <= 9 { end += 1 }
                guard (1...9).contains(end - 20), let value = number(20..<end) else { return nil }
                fraction = (end - 20..<9).reduce(value) { sum, _ in sum * 10 }
            }
        }
        if has("Z", at: end) { end += 1 }
        guard end == bytes.count else { return nil }
        return (midnight + Int64(hour * 3_600 + minute * 60 + second)) * 1_000_000_000 + Int64(fraction)
    }

    /// Days from 1970-01-01; nil for a date that does not exist, or is outside of 1970 to 2261 (64 bits of ns).
    /// Hinnant, "chrono-Compatible Low-Level Date Algorithms" (days_from_civil).
    private static func days(_ year: Int, _ month: Int, _ day: Int) -> Int? {
        let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        let lengths = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        guard (1970...2261).contains(year), (1...12).contains(month), (1...lengths[month - 1]).contains(day) else {
            return nil
        }
        let shifted = month <= 2 ? year - 1 : year
        let era = shifted / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }
}
