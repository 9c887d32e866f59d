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

    /// An agent that takes the operator's commands says what has become of the trading state. Told at the end of the round,
    /// when the announcement is as durable as it is to be.
    func tellSupervisor(_ payload: Payload, on output: OutputWire, at now: Instant) throws {
        guard case .command(let command) = payload, command.kind == .setTradingState, let link,
            inputs.contains(where: \.isLink)
        else { return }
        var frame = try payload.encoded()
        let trace = TraceID(output: output.id, incarnation: environment.incarnation, sequence: 0)
        try frame.seal(
            Header(
                payloadType: .command, output: output.id, incarnation: environment.incarnation, sequence: 0,
                trace: trace, originAt: now, sentAt: now, payloadBytes: 0))
        guard frame.bytes.count <= Limits.maxLinkPacketBytes else { return }
        link.announce(command, frame: frame.bytes)
    }
}

extension InputWire {
    /// The last of the operator's commands that was handled.
    var applied: LinkPosition {
        guard let tracker = sources.first?.tracker else { return .none }
        return LinkPosition(epoch: tracker.incarnation, sequence: tracker.sequence)
    }
}
