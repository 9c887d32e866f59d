import Market
import Wire

/// How much of an approval may have been sent by when: in equal parts at equal intervals (TWAP), or all at once for one
/// slice. Pure.
struct SliceSchedule: Equatable, Codable, Sendable {
    let total: Quantity
    let start: Instant
    let end: Instant
    /// 1 or more.
    let slices: Int64

    /// Released in all by `now`; never falls, and is `total` from the last slice on.
    func released(at now: Instant) -> Quantity {
        let count = sliceCount(at: now)
        guard count < slices, let part = try? total.scaled(by: count, over: slices, .ceiling) else { return total }
        return min(part, total)
    }

    /// When more is released after `now`; nil when all has been.
    func nextRelease(after now: Instant) -> Instant? {
        let count = sliceCount(at: now)
        return count < slices ? start + Nanoseconds(interval * count) : nil
    }

    private var interval: Int64 { max((end - start).count / slices, 1) }

    private func sliceCount(at now: Instant) -> Int64 {
        now < start ? 1 : min((now - start).count / interval + 1, slices)
    }
}
