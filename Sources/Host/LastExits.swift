import Audit
import Supervision
import Wire

/// What a predecessor saw end, told on from the death certificates that it left.
extension Supervisor {
    /// Before anything is taken over: an end that nobody has seen yet comes after these.
    func recallLastExits(of lives: Set<AgentID>) {
        for id in lives {
            guard let agent = agents[id], let certificate = DeathCertificates.newest(folder: agent.folder),
                // Of an ordered stop of everything: whoever was here since has seen no end.
                certificate.stopReason != StopReason.shutdown.rawValue
            else { continue }
            agent.lastExit = ExitStatus(certificate)
            if certificate.cause != .operator { agent.trouble = Self.describe(certificate) }
        }
    }

    /// As `describe` and `conclude` have it of an end that they see.
    static func describe(_ certificate: DeathCertificate) -> String {
        let seconds = (certificate.uptimeSeconds * 1_000).rounded() / 1_000
        guard let code = certificate.code else {
            return certificate.signal.map { "killed by \($0) after \(seconds) s" } ?? certificate.summary.trimmedOfStop
        }
        let words = code == 0 ? nil : certificate.lastLog.last.map { ": \($0)" }
        return "exited with code \(code) after \(seconds) s" + (words ?? "")
    }
}

extension ExitStatus {
    init(_ certificate: DeathCertificate) {
        self.init(
            cause: certificate.cause, signal: certificate.signal, code: certificate.code, at: certificate.at,
            lastLog: certificate.lastLog.suffix(Supervisor.lastLogLines), usage: certificate.usage)
    }
}

extension String {
    /// Without the full stop at its end: part of another sentence.
    fileprivate var trimmedOfStop: String { hasSuffix(".") ? String(dropLast()) : self }
}
