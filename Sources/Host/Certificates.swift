import Audit
import Foundation
import Supervision
import Wire

/// Death certificates on their way to the disk: one at a time and a moment later, so that no restart waits for a file.
/// Belongs to the loop's thread.
final class CertificateQueue {
    /// How long after an end the first is written: the restart, and a storm of them, goes first.
    static let delayMs: Int64 = 50
    /// Between two, so that hundreds of ends at once leave everything else its turn.
    static let gapMs: Int64 = 1
    /// Waiting at most; beyond it the oldest are not written.
    static let capacity = 2 * Limits.maxAgents

    private let loop: EventLoop
    private var waiting: [(certificate: DeathCertificate, folder: String)] = []
    private var timer: EventLoop.Timer?
    private let complain: (String) -> Void
    private var hasComplained = false

    init(loop: EventLoop, complain: @escaping (String) -> Void) {
        self.loop = loop
        self.complain = complain
    }

    /// - Parameter folder: `<run>/agents/<Name>`.
    func add(_ certificate: DeathCertificate, folder: String) {
        if waiting.count >= Self.capacity { waiting.removeFirst() }
        waiting.append((certificate, folder))
        schedule(afterMs: Self.delayMs)
    }

    /// Writes all that wait: the supervisor ends.
    func flush() {
        if let timer { loop.cancel(timer) }
        timer = nil
        while !waiting.isEmpty { writeFirst() }
    }

    private func schedule(afterMs delay: Int64) {
        guard timer == nil, !waiting.isEmpty else { return }
        timer = loop.schedule(afterMs: delay) { [weak self] in
            guard let self else { return }
            timer = nil
            writeFirst()
            schedule(afterMs: Self.gapMs)
        }
    }

    private func writeFirst() {
        var (certificate, folder) = waiting.removeFirst()
        certificate.lastMessages = LastMessages.read(folder: folder, incarnation: certificate.incarnation)
        guard let trouble = DeathCertificates.write(certificate, folder: folder) else {
            hasComplained = false
            return
        }
        if !hasComplained { complain("death certificates can't be written: \(trouble)") }
        hasComplained = true
    }
}

extension Supervisor {
    /// Says of an end what is known of it, and keeps it.
    ///
    /// - Parameter lines: the last of its output.
    func certify(_ agent: AgentRuntime, _ report: TerminalReport, _ exit: ExitStatus, _ lines: [String]) {
        let manifest = agent.plan.manifest
        let facts = Epitaph.Circumstances(
            signalName: report.exit.signalName, lastWords: Self.lastWords(lines),
            memoryLimit: manifest.limits.memory?.description, fileSizeLimit: manifest.limits.fileSize?.description,
            watchdogSeconds: manifest.watchdogMs.map { Double($0) / 1_000 },
            startTimeoutSeconds: Double(manifest.startTimeoutMs) / 1_000,
            stopTimeoutSeconds: Double(manifest.stop.timeoutMs) / 1_000,
            culprit: fleet.memory(of: agent.id)?.culprit?.name,
            manifest: agent.plan.manifestFile ?? plan.configuration.file)
        let epitaph = Epitaph(agent.id, report, facts)
        var certificate = DeathCertificate(
            agent: agent.name, incarnation: report.incarnation.number, at: exit.at, cause: report.cause,
            summary: epitaph.summary, advice: epitaph.advice)
        certificate.pid = report.pid
        certificate.uptimeSeconds = report.uptime.seconds
        certificate.wasReady = report.wasReady
        certificate.code = report.exit.code
        certificate.signal = report.exit.signalName
        certificate.stopReason = report.stopReason?.rawValue
        certificate.limitHit = exit.usage?.limitHit ?? Self.limitHit(report, manifest.limits)
        certificate.usage = exit.usage
        certificate.lastLog = lines
        certificate.frames = CrashLine.frames(in: lines)
        certificate.executable = agent.plan.executablePath
        certificates.add(certificate, folder: agent.folder)
    }

    /// What it said of its reason: Swift's own words if there are any, else its last line.
    static func lastWords(_ lines: [String]) -> String? {
        let words = lines.filter { !$0.hasPrefix(CrashLine.start) && !$0.isEmpty }
        let line = words.last { $0.contains("Fatal error: ") } ?? words.last
        return line.map { $0.count > maxLastWords ? $0.prefix(maxLastWords) + "…" : $0 }
    }

    /// Characters of an agent's words inside a sentence.
    static let maxLastWords = 200

    private static func limitHit(_ report: TerminalReport, _ limits: LimitSettings) -> String? {
        if report.cause == .memory { return limits.memory.map { "memory \($0)" } ?? "memory" }
        switch report.exit.signalName {
        case "SIGXFSZ": return limits.fileSize.map { "fileSize \($0)" } ?? "fileSize"
        case "SIGXCPU": return "cpu"
        default: return nil
        }
    }
}
