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
    /// What became of the request, where no answer says so.
    var fate: Fate?

    enum Fate: Equatable {
        /// No supervisor has it.
        case unsent
        /// A supervisor may have it, and may have carried it out.
        case unanswered
    }

    package init(_ code: ExitStatusCode, _ message: String) { self.init(code, message, refusal: nil) }

    init(_ code: ExitStatusCode, _ message: String, refusal: Int? = nil, fate: Fate? = nil) {
        self.fate = fate
        self.code = code
        self.message = message
        self.refusal = refusal
    }
}
