/// Calendar arithmetic for recordings that state local exchange time.
public enum CivilTime {
    /// Days from 1970-01-01 in the proleptic Gregorian calendar; nil for a date that does not exist.
    /// Hinnant, "chrono-Compatible Low-Level Date Algorithms" (days_from_civil).
    public static func days(year: Int, month: Int, day: Int) -> Int? {
        guard (1...9_999).contains(year), (1...12).contains(month), (1...length(of: month, year)).contains(day) else {
            return nil
        }
        let shifted = month <= 2 ? year - 1 : year
        let era = shifted / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }

    /// Unix time in seconds of a New York midnight: EDT (UTC−4) from the second Sunday in March to the first in November
    /// (Energy Policy Act of 2005), else EST (UTC−5). Right from 2007 on, and by daylight on every day of a change
    /// (which happens on a Sunday, when exchanges are closed). Nil for a date that does not exist or is before 2007.
    public static func newYorkMidnight(year: Int, month: Int, day: Int) -> Int64? {
        guard year >= 2007, let days = days(year: year, month: month, day: day),
            let march = firstSunday(year: year, month: 3), let november = firstSunday(year: year, month: 11)
        else { return nil }
        let isDaylight = days >= march + 7 && days < november
        return Int64(days) * 86_400 + (isDaylight ? 4 : 5) * 3_600
    }

    private static func length(of month: Int, _ year: Int) -> Int {
        let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        return [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1]
    }

    private static func firstSunday(year: Int, month: Int) -> Int? {
        guard let first = days(year: year, month: month, day: 1) else { return nil }
        let weekday = ((first + 4) % 7 + 7) % 7  // 0 is Sunday; 1970-01-01 was a Thursday
        return first + (7 - weekday) % 7
    }
}
