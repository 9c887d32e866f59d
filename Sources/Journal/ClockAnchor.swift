import CLinux
import Glibc
import Wire

/// Which boot of the machine; monotonic times of two boots can't be compared. From `/proc/sys/kernel/random/boot_id`,
/// zero where that can't be read.
public struct BootID: Hashable, Sendable, CustomStringConvertible {
    public var high: UInt64
    public var low: UInt64

    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// A UUID's text; nil if it is none.
    public init?(_ text: some StringProtocol) {
        let digits = String(text.filter { $0 != "-" && !$0.isWhitespace })
        guard digits.utf8.count == 32, let high = UInt64(digits.prefix(16), radix: 16),
            let low = UInt64(digits.suffix(16), radix: 16)
        else { return nil }
        self.init(high: high, low: low)
    }

    /// Of the running kernel.
    public static let current: BootID = {
        let file = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return BootID(high: 0, low: 0) }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 64)
        let count = read(file, &bytes, bytes.count)
        return BootID(String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)) ?? BootID(high: 0, low: 0)
    }()

    public var description: String { hex(high) + hex(low) }
}

/// The same moment on the monotonic clock and as Unix time, so that monotonic times can be shown as wall time.
public struct ClockAnchor: Hashable, Sendable {
    public var bootID: BootID
    public var monotonic: Instant
    /// Unix time in nanoseconds at `monotonic`.
    public var unixNs: Int64

    public init(bootID: BootID, monotonic: Instant, unixNs: Int64) {
        self.bootID = bootID
        self.monotonic = monotonic
        self.unixNs = unixNs
    }

    /// Reads both clocks, one right after the other.
    public static func now() -> ClockAnchor {
        ClockAnchor(
            bootID: .current, monotonic: Instant(nanoseconds: clock(CLOCK_MONOTONIC)), unixNs: clock(CLOCK_REALTIME))
    }

    /// Unix time in nanoseconds of a monotonic time of the same boot. Corrections of the wall clock since the anchor
    /// was taken are not in it.
    public func unixNs(of instant: Instant) -> Int64 {
        let (sum, overflow) = unixNs.addingReportingOverflow((instant - monotonic).count)
        return overflow ? (instant > monotonic ? .max : .min) : sum
    }

    /// Unix time in nanoseconds at which the machine was started.
    static func bootedAt() -> Int64 { clock(CLOCK_REALTIME) - clock(CLOCK_BOOTTIME) }

    private static func clock(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}

/// 16 hexadecimal digits.
func hex(_ word: UInt64) -> String {
    let digits = String(word, radix: 16)
    return String(repeating: "0", count: 16 - digits.utf8.count) + digits
}
