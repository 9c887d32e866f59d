import CLinux
import Foundation
import Supervision
import Wire

/// What supervises the supervisor itself (systemd, s6-notify …), told by sd_notify(3): that it serves, how its fleet is, that
/// it is stopping and how long that may take, and that its loop turns. Says nothing where nobody asks (`$NOTIFY_SOCKET`).
///
/// Belongs to the loop's thread. A service manager that does not read costs nothing: what its socket does not take is dropped,
/// and the status is told again at the next change.
final class ServiceManager {
    /// How long after its start the supervisor is ready at the latest, however long agents take: a unit must not fail, and take
    /// all agents down, for one of them.
    static let patienceMs: Int64 = 20_000
    /// Between two words about the fleet: crash loops are no news each time.
    static let statusPauseMs: Int64 = 500
    /// Told beside what the agents may take to stop.
    static let stopReserveMs: Int64 = 10_000

    private let socket: String?
    /// Half of what it waits for a sign of life.
    private let pulseMs: Int64?
    private let loop: EventLoop
    private let describe: () -> String
    private var told = ""
    private var isReady = false
    private var isStopping = false
    private var statusTimer: EventLoop.Timer?

    /// - Parameter describe: the fleet in one line.
    init(environment: [String: String], pid: pid_t, loop: EventLoop, describe: @escaping () -> String) {
        socket = environment["NOTIFY_SOCKET"].flatMap { $0.isEmpty ? nil : $0 }
        pulseMs = Self.pulse(environment, pid: pid)
        self.loop = loop
        self.describe = describe
        guard socket != nil else { return }
        loop.schedule(afterMs: Self.patienceMs) { [weak self] in self?.ready() }
        if pulseMs != nil { pulse() }
    }

    /// Half of `WATCHDOG_USEC` in milliseconds, if it is meant for this process (sd_watchdog_enabled(3)).
    static func pulse(_ environment: [String: String], pid: pid_t) -> Int64? {
        guard let text = environment["WATCHDOG_USEC"], let limit = Int64(text), limit > 0 else { return nil }
        if let meant = environment["WATCHDOG_PID"], pid_t(meant) != pid { return nil }
        return max(1, limit / 2_000)
    }

    /// The fleet has started, or what of it can.
    func ready() {
        guard !isReady, !isStopping else { return }
        isReady = true
        told = describe()
        send("READY=1\nSTATUS=\(told)")
    }

    /// Something about an agent has changed.
    func fleetChanged() {
        guard socket != nil, !isStopping, statusTimer == nil else { return }
        statusTimer = loop.schedule(afterMs: Self.statusPauseMs) { [weak self] in
            guard let self else { return }
            statusTimer = nil
            let text = describe()
            guard !isStopping, text != told else { return }
            told = text
            send("STATUS=\(text)")
        }
    }

    /// - Parameter limitMs: what the agents may take, one after the other.
    func stopping(limitMs: Int64) {
        guard !isStopping else { return }
        isStopping = true
        let limitUs = (limitMs + Self.stopReserveMs) * 1_000
        send("STOPPING=1\nEXTEND_TIMEOUT_USEC=\(limitUs)\nSTATUS=stopping the agents in order")
    }

    private func pulse() {
        guard let pulseMs else { return }
        send("WATCHDOG=1")
        loop.schedule(afterMs: pulseMs) { [weak self] in self?.pulse() }
    }

    private func send(_ words: String) {
        guard let socket else { return }
        _ = qp_send_notification(socket, words)
    }
}

extension ServiceManager {
    /// Agents that are named where something is wrong with them; the rest is counted.
    static let maxNames = 3

    /// The fleet in one line: how many run, and who does not although it should.
    static func line(_ agents: [(name: String, state: AgentState)]) -> String {
        var line = "\(agents.count { $0.state == .running }) of \(agents.count) agents run"
        for (state, word) in [(AgentState.failed, "failed"), (.backoff, "to be started again")] {
            let names = agents.filter { $0.state == state }.map(\.name).sorted()
            guard !names.isEmpty else { continue }
            let more = names.count > maxNames ? " and \(names.count - maxNames) more" : ""
            line += "; \(word): \(names.prefix(maxNames).joined(separator: ", "))\(more)"
        }
        return line
    }
}
