/// How agentctl ends (contract §5.1).
package enum ExitStatusCode: Int32 {
    case done = 0
    case refused = 1
    case usage = 2
    /// Of `status --check`.
    case agentFailed = 3
    /// EX_UNAVAILABLE of sysexits.h.
    case noSupervisor = 69
}

/// What went wrong, with the next step, and how to end.
package struct Failure: Error {
    package var code: ExitStatusCode
    package var message: String
    /// The supervisor's own word for it, where it refused.
    var refusal: Int?

    package init(_ code: ExitStatusCode, _ message: String, refusal: Int? = nil) {
        self.code = code
        self.message = message
        self.refusal = refusal
    }
}
