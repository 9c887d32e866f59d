import Wire

extension AgentShell {
    /// Takes an operator's commands and looks after the connection. True when the supervisor has been away for too long
    /// and the agent is to stop as on SIGTERM.
    func serviceLink(isReady: Bool, at now: Instant) -> Bool {
        guard let link, isReady || link.presence.nextWake.map({ $0 <= now }) ?? false else { return false }
        let wire = inputs.first(where: \.isLink)
        link.service(at: now, applied: wire?.applied ?? .none) { frame in
            // The supervisor sends commands only where a port takes them.
            guard let wire else { return .none }
            deliver(frame, from: wire)
            return wire.applied
        }
        guard !isStopping, link.presence.isOver(at: now) else { return false }
        let away = link.presence.absentSince.map { (now - $0).seconds } ?? 0
        AgentLog.write(.warning, "stopping: the supervisor has been away for \(Int(away.rounded())) s")
        return true
    }
}

extension InputWire {
    /// The last of the operator's commands that was handled.
    var applied: LinkPosition {
        guard let tracker = sources.first?.tracker else { return .none }
        return LinkPosition(epoch: tracker.incarnation, sequence: tracker.sequence)
    }
}
