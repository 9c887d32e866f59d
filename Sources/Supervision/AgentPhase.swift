import Wire

/// The machine's own states. Each carries exactly the data that mean something in it.
enum AgentPhase: Hashable, Sendable {
    /// No process, none wanted.
    case stopped(StoppedReason)
    /// No process; one is wanted as soon as the fleet gives the turn.
    case waiting(StartOrigin)
    case starting(Starting)
    case running(Running)
    /// The leader is alive (or being spawned) and on its way out.
    case stopping(Stopping)
    /// The leader is gone; the rest of its tree is being killed and verified.
    case clearing(Clearing)
    /// No process; one will be started at `until`.
    case backoff(until: Instant, StartOrigin)
    case failed(FailureReason)
    /// Processes survive SIGKILL. Public state: failed. Should they vanish after all, the sequel takes its course.
    case stuck(Clearing)
    case done

    /// What is known of a living leader.
    struct Life: Hashable, Sendable {
        /// Nil until the shell has answered the `spawn`.
        var pid: Int32?
        var spawnedAt: Instant
        var readyAt: Instant?
        /// The shell has seen the tree empty before it saw the leader's exit.
        var isTreeEmpty = false
    }

    struct Starting: Hashable, Sendable {
        var life: Life
        var deadline: Deadline
    }

    struct Running: Hashable, Sendable {
        var life: Life
        var watchdog: Deadline?
        /// To be stopped when its turn comes; until then it works on, so that the queues behind it drain.
        var due: Departure?
    }

    struct Stopping: Hashable, Sendable {
        var life: Life
        var step: StopStep
        var departure: Departure
    }

    struct Clearing: Hashable, Sendable {
        var life: Life
        var kills: Int
        var retryAt: Instant
        var sequel: Sequel
    }
}

/// Steps on the way out. Each is bounded by its deadline; the last by ``Bounds/killAttempts``.
enum StopStep: Hashable, Sendable {
    /// There is no process to signal yet.
    case awaitingSpawn(Deadline)
    case signalled(Deadline)
    /// The agent said STOPPING=1 by itself: it is not signalled, only given the time of a stop.
    case leaving(Deadline)
    case killing(kills: Int, retryAt: Instant)
}

/// Why an agent leaves and what follows.
struct Departure: Hashable, Sendable {
    var reason: StopReason
    var sequel: Sequel
}

/// What happens once the tree is verified empty.
enum Sequel: Hashable, Sendable {
    case stay(StoppedReason)
    /// A new incarnation as soon as its turn comes.
    case start(StartOrigin)
    /// It takes part in its group's restart.
    case rejoin
    /// The restart policy decides when the leader's end is known.
    case judge
    case retry(at: Instant, StartOrigin)
    case fail(FailureReason)
    case finish
}

/// What a start goes back to.
enum StartOrigin: Hashable, Sendable {
    case boot
    case byOperator
    case reload
    case groupRestart
    /// The agent's own end. Waits for no other agent: the order serves a cold start, and the wires of a warm one hold.
    case restart
    /// The machine refused to spawn. Not a restart of the agent.
    case spawnRetry

    var waitsForOthers: Bool { self != .restart && self != .spawnRetry }
    var countsAsRestart: Bool { self == .restart || self == .groupRestart }

    var cause: TransitionCause {
        switch self {
        case .boot: .boot
        case .byOperator: .operator
        case .reload: .reload
        case .groupRestart: .groupRestart
        case .restart, .spawnRetry: .backoffElapsed
        }
    }
}

/// A point in time that counts against an agent, with two safeguards against blaming it for somebody else's sleep:
/// - found passed by more than ``Bounds/stall``, the supervisor or the whole machine was not running: the span is
///   granted once more in full, once in a row, so that a machine that stalls again and again keeps no dead agent;
/// - a watchdog's or a start-up's is confirmed before it counts: the news may be waiting unread beside the timer, and
///   an agent that was suspended with the machine speaks up as soon as it is back.
struct Deadline: Hashable, Sendable {
    var at: Instant
    let span: Nanoseconds
    let began: Instant
    /// Zero: not confirmed.
    private let confirmation: Nanoseconds
    private var isGraced = false
    private var isConfirming = false

    init(_ span: Nanoseconds, from now: Instant, isConfirmed: Bool = false) {
        self.span = span
        began = now
        at = now + span
        confirmation = isConfirmed ? min(Nanoseconds(span.count / 4), Bounds.longestConfirmation) : .zero
    }

    /// True if the time is up and it counts.
    mutating func hasPassed(at now: Instant) -> Bool {
        guard now >= at else { return false }
        if !isGraced && now - at > Bounds.stall {
            isGraced = true
            isConfirming = false
            at = now + span
            return false
        }
        if !isConfirming && confirmation > .zero {
            isConfirming = true
            at = now + confirmation
            return false
        }
        return true
    }

    /// A sign of life: the full span again.
    mutating func renew(at now: Instant) {
        at = now + span
        isGraced = false
        isConfirming = false
    }

    /// Never earlier than it was, never later than ``Bounds/longestExtension`` after it began.
    mutating func extend(by extra: Nanoseconds, at now: Instant) {
        at = max(at, min(now + extra, began + Bounds.longestExtension))
    }
}

extension AgentPhase {
    var state: AgentState {
        switch self {
        case .stopped: .stopped
        case .waiting, .starting: .starting
        case .running: .running
        case .stopping: .stopping
        case .clearing(let clearing):
            if case .retry = clearing.sequel { .backoff } else { .stopping }
        case .backoff: .backoff
        case .failed, .stuck: .failed
        case .done: .done
        }
    }

    /// Something of the agent is, or may be, alive. Nothing is spawned while this holds.
    var hasTree: Bool {
        switch self {
        case .starting, .running, .stopping, .clearing, .stuck: true
        case .stopped, .waiting, .backoff, .failed, .done: false
        }
    }

    /// Nothing is alive, or what is has been given up: nobody waits for it any longer.
    var isDown: Bool {
        if case .stuck = self { return true }
        return !hasTree
    }

    /// Alive and meant to stay so.
    var isUp: Bool {
        switch self {
        case .starting: true
        case .running(let running): running.due == nil
        case .stopped, .waiting, .stopping, .clearing, .backoff, .failed, .stuck, .done: false
        }
    }

    /// On its way out, or told to be: those whose queues it fills wait for it.
    var isLeaving: Bool {
        switch self {
        case .running(let running): running.due != nil
        case .stopping, .clearing: true
        default: false
        }
    }

    /// Whether agents that start after this one wait for it: only during an attempt to come up that is under way (and
    /// is bounded by the start timeout). Running, done: satisfied. Stopped, disabled, failed, in back-off: not worth
    /// waiting for.
    var holdsOthers: Bool {
        switch self {
        case .waiting, .starting: true
        case .stopping(let stopping): stopping.departure.sequel.comesBack
        case .clearing(let clearing): clearing.sequel.comesBack
        case .stopped, .running, .backoff, .failed, .stuck, .done: false
        }
    }

    /// The one moment at which this state wants to be called.
    var deadline: Instant? {
        switch self {
        case .starting(let starting): starting.deadline.at
        case .running(let running): running.watchdog?.at
        case .stopping(let stopping): stopping.step.deadline
        case .clearing(let clearing): clearing.retryAt
        case .backoff(let until, _): until
        case .stopped, .waiting, .failed, .stuck, .done: nil
        }
    }

    var life: Life? {
        switch self {
        case .starting(let starting): starting.life
        case .running(let running): running.life
        case .stopping(let stopping): stopping.life
        default: nil
        }
    }
}

extension StopStep {
    var deadline: Instant {
        switch self {
        case .awaitingSpawn(let deadline), .signalled(let deadline), .leaving(let deadline): deadline.at
        case .killing(_, let retryAt): retryAt
        }
    }
}

extension Sequel {
    var comesBack: Bool {
        switch self {
        case .start, .rejoin: true
        case .stay, .judge, .retry, .fail, .finish: false
        }
    }
}
