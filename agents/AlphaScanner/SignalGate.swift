/// When a measured z is worth a message: hysteresis (on at `enter`, off at `exit`) and at most one message per
/// `throttleNs` of market time while it stays on. Its end and its reversal are told at once, so that nobody keeps acting
/// on what is over.
struct SignalGate {
    let enter: Double
    let exit: Double
    let throttleNs: Int64
    /// 1 or −1 while on, else 0.
    private(set) var direction = 0.0
    private var lastSentNs: Int64?

    /// 0 ≤ exit < enter.
    init(enter: Double, exit: Double, throttleNs: Int64) {
        precondition(exit >= 0 && exit < enter, "a gate opens above where it closes")
        self.enter = enter
        self.exit = exit
        self.throttleNs = throttleNs
    }

    /// Whether to send now.
    mutating func passes(_ z: Double, at timeNs: Int64) -> Bool {
        if direction != 0, z * direction <= exit {
            direction = abs(z) >= enter ? -direction : 0
            lastSentNs = timeNs
            return true
        }
        guard direction != 0 || abs(z) >= enter else { return false }
        if let lastSentNs {
            let (elapsed, overflow) = timeNs.subtractingReportingOverflow(lastSentNs)
            guard overflow || elapsed >= throttleNs else { return false }
        }
        if direction == 0 { direction = z < 0 ? -1 : 1 }
        lastSentNs = timeNs
        return true
    }

    /// Closes without a message: nothing is known any more.
    mutating func close() {
        direction = 0
    }
}
