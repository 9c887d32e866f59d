import Glibc
import Wire

/// Has the supervisor execute its new program, waits until that serves, and says what came of it.
struct UpgradeWatch {
    /// Taking over 200 agents takes 0.2 s on a quiet machine.
    static let defaultSeconds = 30.0
    static let maxSeconds = 300.0
    /// Between two tries to reach the new program.
    static let pauseMs: UInt32 = 5

    /// How long another one may take that a service manager starts when the new program has ended.
    static let othersSeconds = 3.0

    let path: String
    /// How long the new program may take, from the moment that the old one says it goes.
    let seconds: Double

    func upgrade() throws -> String {
        var asker = try ControlClient(path: path)
        let before = try asker.status().report
        // A connection of its own: it ends when the old program does, and tells why it does not.
        var watcher = try ControlClient(path: path, patienceSeconds: seconds)
        _ = try watcher.call(.events(after: nil, count: 0, follow: true))
        let process = asker.peerPid.flatMap(ProcessMark.init)
        _ = try asker.call(.upgrade)
        let begun = SteadyClock.now
        try awaitExecution(watcher, until: begun + seconds)
        let after = try firstAnswer(after: before.supervisor, in: process, until: begun + seconds)
        return try Self.words(before: before, after: after, milliseconds: Int((SteadyClock.now - begun) * 1_000))
    }

    /// Returns when the old program is gone.
    private func awaitExecution(_ watcher: consuming ControlClient, until end: Double) throws {
        while SteadyClock.now < end {
            let notification: (method: String, params: JSONValue)?
            do { notification = try watcher.nextNotification() } catch { break }
            guard let (method, params) = notification else { return }
            guard method == ControlProtocol.Notification.event.rawValue,
                let event = try? ControlClient.decode(params, as: EventRecord.self), event.kind == "upgrade",
                !event.message.hasPrefix("executing")
            else { continue }
            throw Failure(.refused, event.message)
        }
        throw Failure(
            .refused, "the supervisor has not executed its new program within \(seconds) s; `agentctl events` tells why"
        )
    }

    /// - Parameter process: the supervisor's, which is the new program's too; nil: it can't be seen from here.
    private func firstAnswer(
        after old: SupervisorStatus, in process: ProcessMark?, until limit: Double
    ) throws -> StatusReport {
        var end = limit
        var hasEnded = false
        while SteadyClock.now < end {
            if let report = try? answer(until: end), report.supervisor.startedAt != old.startedAt { return report }
            if !hasEnded, process?.hasEnded == true {
                hasEnded = true
                end = min(end, SteadyClock.now + Self.othersSeconds)
            }
            usleep(Self.pauseMs * 1_000)
        }
        if hasEnded {
            throw Failure(
                .noSupervisor,
                "the supervisor (pid \(old.pid)) has executed its new program, and that has ended: none serves at \(path). "
                    + "Its log tells why. The agents work on; a supervisor that is started takes them over")
        }
        throw Failure(
            .noSupervisor,
            "the supervisor (pid \(old.pid)) has executed its new program, and that has not answered at \(path) within "
                + "\(seconds) s; look at its log. The agents work on; a supervisor that is started takes them over")
    }

    private func answer(until end: Double) throws -> StatusReport {
        var client = try ControlClient(path: path, patienceSeconds: max(0, end - SteadyClock.now))
        return try client.status().report
    }

    /// "upgraded: supervisor 0.1.0, pid 7 stays, 12 agents taken over in 84 ms".
    static func words(before: StatusReport, after: StatusReport, milliseconds: Int) throws -> String {
        let (old, new) = (before.supervisor, after.supervisor)
        let living = before.agents.count { $0.pid != nil }
        let agents = living == 1 ? "1 agent" : "\(living) agents"
        let taken = new.adopted == living ? agents : "\(new.adopted) of \(agents)"
        guard new.pid == old.pid else {
            throw Failure(
                .refused,
                "the supervisor's new program did not last: another one serves now, pid \(new.pid) instead of \(old.pid), "
                    + "\(taken) taken over; look at its log")
        }
        let version = new.version == old.version ? new.version : "\(new.version) (was \(old.version))"
        let line = "upgraded: supervisor \(version), pid \(new.pid) stays, \(taken) taken over in \(milliseconds) ms"
        return new.adopted >= living ? line : line + "; `agentctl events` tells of the others"
    }
}
