/// One `sd_notify` datagram (sd_notify(3)): lines of `KEY=value`. Unknown keys are ignored, as systemd does.
/// Ours: `X_QP_EXHAUSTED=1`, a feed that has come to its end.
public struct NotifyMessage: Sendable, Hashable {
    /// Longer datagrams are not looked at.
    public static let maxBytes = Limits.maxNotifyBytes
    public static let maxStatusBytes = 512

    public var ready = false
    public var stopping = false
    /// `WATCHDOG=1`: the agent's loop went round.
    public var watchdog = false
    /// `WATCHDOG=trigger`: the agent asks to be treated as hung.
    public var watchdogTrigger = false
    /// `EXTEND_TIMEOUT_USEC`.
    public var extendTimeoutUs: UInt64?
    /// `STATUS`, cut at `maxStatusBytes`, control characters replaced.
    public var status: String?
    /// `ERRNO`.
    public var errno: Int32?
    /// `X_QP_EXHAUSTED=1`: a feed has sent everything it had.
    public var exhausted = false

    public init() {}

    /// nil for an empty or oversized datagram. What is not UTF-8 becomes U+FFFD, and lines that can't be read are skipped: an
    /// agent's slip must not cost it the rest of the message.
    public init?(datagram: some Collection<UInt8>) {
        guard !datagram.isEmpty, datagram.count <= Self.maxBytes else { return nil }
        let text = String(decoding: datagram, as: UTF8.self)
        self.init()
        for line in text.split(separator: "\n") {
            guard let equals = line.firstIndex(of: "=") else { continue }
            read(key: line[..<equals], value: line[line.index(after: equals)...])
        }
    }

    private mutating func read(key: Substring, value: Substring) {
        switch key {
        case "READY": if value == "1" { ready = true }
        case "STOPPING": if value == "1" { stopping = true }
        case "WATCHDOG":
            if value == "1" { watchdog = true } else if value == "trigger" { watchdogTrigger = true }
        case "EXTEND_TIMEOUT_USEC": extendTimeoutUs = UInt64(value) ?? extendTimeoutUs
        case "STATUS": status = Self.printable(value)
        case "ERRNO": errno = Int32(value) ?? errno
        case "X_QP_EXHAUSTED": if value == "1" { exhausted = true }
        default: break
        }
    }

    private static func printable(_ text: Substring) -> String {
        var result = ""
        var size = 0
        for scalar in text.unicodeScalars {
            size += UTF8.width(scalar)
            if size > maxStatusBytes { break }
            let isControl = scalar.value < 0x20 || (0x7f...0x9f).contains(scalar.value)
            result.unicodeScalars.append(isControl ? " " : scalar)
        }
        return result
    }
}
