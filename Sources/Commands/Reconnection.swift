import ArgumentParser
import Glibc
import Wire

/// Goes on with the supervisor that takes the place of one that is gone: it was upgraded, or has crashed and comes back.
struct Reconnection {
    /// How long one is waited for, each time.
    static let defaultSeconds = 30.0
    static let maxSeconds = 86_400.0
    /// Between two tries to reach it.
    static let pauseSeconds = 0.05

    struct Options: ParsableArguments {
        @Option(
            help: ArgumentHelp(
                "How long to wait for the next supervisor when this one is gone; 0: not at all.", valueName: "seconds"))
        var wait = Reconnection.defaultSeconds

        func validate() throws {
            guard wait >= 0, wait <= Reconnection.maxSeconds else {
                throw ValidationError("--wait takes 0 to \(Int(Reconnection.maxSeconds)) seconds")
            }
        }
    }

    let path: String
    let seconds: Double

    /// "30", "0.5".
    private var time: String { seconds == seconds.rounded() ? String(Int(seconds)) : String(seconds) }

    /// What is told while it is waited.
    func notice(_ gone: SupervisorStatus) -> String {
        "the supervisor (pid \(gone.pid)) is gone; waiting \(time) s for the next one"
    }

    /// What is told when it is there.
    static func greeting(_ now: SupervisorStatus) -> String {
        "connected again: supervisor \(now.version), pid \(now.pid), "
            + (now.adopted == 1 ? "1 agent taken over" : "\(now.adopted) agents taken over")
    }

    /// One connection, and who serves it.
    struct Connection: ~Copyable {
        var client: ControlClient
        let supervisor: SupervisorStatus

        init(path: String) throws {
            var client = try ControlClient(path: path)
            supervisor = try client.status().report.supervisor
            self.client = client
        }
    }

    /// Has `serve` follow one supervisor after another; each call ends by itself, or by a failure without a supervisor, when its
    /// connection does. Throws when the first is not there or none has come in time, and what else `serve` throws.
    func follow(_ serve: (_ client: inout ControlClient, _ supervisor: SupervisorStatus) throws -> Void) throws {
        var waiting: Connection? = try Connection(path: path)
        var isFirst = true
        while var connection = waiting.take() {
            let supervisor = connection.supervisor
            if !isFirst { Terminal.complain("agentctl: \(Self.greeting(supervisor))") }
            isFirst = false
            do { try serve(&connection.client, supervisor) } catch let end as Failure where end.code == .noSupervisor {}
            if seconds > 0 { Terminal.complain("agentctl: \(notice(supervisor))") }
            waiting = try next {
                usleep(useconds_t($0 * 1e6))
                return true
            }
        }
    }

    /// A connection to the supervisor that answers first. nil: `pause`, which waits so many seconds, wants to wait no longer.
    func next(_ pause: (_ seconds: Double) -> Bool) throws -> Connection? {
        let end = SteadyClock.now + seconds
        while SteadyClock.now < end {
            if let connection = try? Connection(path: path) { return connection }
            guard pause(Self.pauseSeconds) else { return nil }
        }
        throw Failure(
            .noSupervisor,
            seconds == 0
                ? "the supervisor closed the connection; start it again to follow on"
                : "no supervisor has come back at \(path) within \(time) s; start it again to follow on")
    }
}
