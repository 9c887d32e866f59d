import Foundation
import Wire

/// The environment an agent gets: the contract's variables, the manifest's, and few of the supervisor's own. Nothing
/// else is inherited, so that no secret of the shell that started the supervisor reaches an agent by accident.
enum AgentEnvironment {
    static let inherited = [
        "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "FEED", "PACE",
        "TEXT_FEED", "VOLUME_FEED", "SWIFT_BACKTRACE", oneShot,
    ]
    /// Set to 1 in a run that is to end by itself: sources that could go on for ever come to an end of their own.
    static let oneShot = "QP_ONE_SHOT"

    /// - Parameter wiring: `Wiring.json`.
    static func make(
        manifest: Manifest, incarnation: UInt64, runDirectory: String, notifySocket: String, wiring: String,
        account: Account? = nil, supervisor: [String: String]
    ) -> [String: String] {
        var environment = supervisor.filter { inherited.contains($0.key) }
        if let account {
            environment["USER"] = account.name
            environment["LOGNAME"] = account.name
            environment["HOME"] = account.home
            environment["SHELL"] = account.shell
        }
        environment.merge(manifest.environment) { $1 }
        environment["QP_AGENT"] = manifest.name
        environment["QP_INCARNATION"] = String(incarnation)
        environment["QP_RUN_DIR"] = runDirectory
        environment["QP_WIRING"] = wiring
        environment["QP_ROLE"] = manifest.role.rawValue
        environment["QP_SETTINGS"] = manifest.settings.text
        environment["NOTIFY_SOCKET"] = notifySocket
        environment["QP_DEADMAN_USEC"] =
            manifest.onSupervisorLoss == .stop ? "0" : String(manifest.deadManMs * 1_000)
        environment["QP_LINK"] = OperatorPort.linkPath(runDirectory: runDirectory)
        environment["QP_MEMORY_LIMIT"] = manifest.limits.memory.map { String($0.bytes) }
        environment["WATCHDOG_USEC"] = manifest.watchdogMs.map { String($0 * 1_000) }
        return environment
    }
}
