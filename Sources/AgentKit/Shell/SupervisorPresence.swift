import Wire

/// Whether the supervisor is there, when to look for it again, and when its absence has lasted too long. Pure.
///
/// Absent counts from the first loss (at the start: from the beginning) until the supervisor has said welcome: a
/// connection that is taken and closed at once is no presence.
struct SupervisorPresence: Sendable {
    /// How long the supervisor may be away; nil: for ever.
    let deadMan: Nanoseconds?
    /// nil while a connection stands.
    private(set) var retryAt: Instant?
    /// Since when the supervisor is away; nil while it is there.
    private(set) var absentSince: Instant?
    private var pause = Limits.linkRetryFirst
    /// It said that it comes back: it gets time even where a loss is to end the agent at once.
    private var isUpgrading = false
    private var wasEverThere = false

    init(deadMan: Nanoseconds?, at now: Instant) {
        self.deadMan = deadMan
        retryAt = now
        absentSince = now
    }

    mutating func connected() { retryAt = nil }

    mutating func welcomed() {
        absentSince = nil
        isUpgrading = false
        wasEverThere = true
        pause = Limits.linkRetryFirst
    }

    mutating func announcedUpgrade() { isUpgrading = true }

    /// The connection ended, or could not be made.
    mutating func lost(at now: Instant) {
        if absentSince == nil { absentSince = now }
        retryAt = now + pause
        pause = min(Nanoseconds(pause.count * 2), Limits.linkRetryLongest)
    }

    /// When the agent is to stop unless the supervisor is back by then.
    var deadline: Instant? {
        guard let deadMan, let absentSince else { return nil }
        if isUpgrading { return absentSince + max(deadMan, .milliseconds(Int64(Limits.deadManMs))) }
        return absentSince + (wasEverThere ? deadMan : max(deadMan, Limits.linkFirstContact))
    }

    func isOver(at now: Instant) -> Bool { deadline.map { $0 <= now } ?? false }

    /// When something is to be done without any news.
    var nextWake: Instant? {
        switch (retryAt, deadline) {
        case (let retry?, let deadline?): min(retry, deadline)
        case (let retry, let deadline): retry ?? deadline
        }
    }
}
