import Delivery
import Wire
import ZeroMQ

extension AgentShell {
    /// Delivers what waits on one port: at most `framesPerRound`, and for no longer than `drainSlice`.
    func drain(_ wire: InputWire) throws {
        let end = Clock.now() + Self.drainSlice
        for _ in 0..<Self.framesPerRound {
            guard failure == nil, lastFrameAt < end, !holdsBack(wire) else { return }
            switch try wire.receive() {
            case .nothing: return
            case .refused(let problem): noteMalformed(problem, kind: -1, on: wire)
            case .frame: wire.withFrame { deliver($0, from: wire) }
            }
        }
    }

    func deliver(_ frame: UnsafeRawBufferPointer, from wire: InputWire) {
        let receivedAt = Clock.now()
        lastFrameAt = receivedAt
        ping(at: receivedAt)
        if DeliveryControl.isControl(frame) { return greet(frame, on: wire) }
        var known: (header: Header, source: Int)?
        do throws(FrameError) {
            let header = try Header(frame: frame)
            if let source = wire.index(of: header.output) { known = (header, source) }
            if isStopping, header.sentAt <= stopAskedAt { lastOldFrameAt = receivedAt }
            guard header.payloadType == wire.type else {
                throw .unexpectedType(header.payloadType, expected: wire.type)
            }
            guard let source = known?.source else { throw .stranger(header.output) }
            // Decoded first: what does not decode is not taken.
            let body = UnsafeRawBufferPointer(rebasing: frame[Header.byteCount...])
            let payload = try Payload(type: header.payloadType, encoding: header.encoding, bytes: body)
            let isDurable = wire.sources[source].durable != nil
            let isNew =
                isDurable
                ? take(header, frame, receivedAt, on: wire, source)
                : count(header, bytes: frame.count, receivedAt, &wire.sources[source])
            guard isNew else { return }
            let approval = authority.verdict(on: payload, at: receivedAt)
            noteApproval(approval, of: payload, on: wire)
            handle(
                Message(port: wire.port, payload: payload, header: header, approval: approval), frame,
                isPosition: isDurable || wire.isLink, receivedAt)
            recorder.received(frame, edge: wire.sources[source].edge, receivedAt: receivedAt)
        } catch {
            noteMalformed("\(error)", kind: error.kind, on: wire)
            if let known { refuse(known.header, "\(error)", from: known.source, of: wire) }
        }
    }

    /// Whether the message is to be delivered.
    private func count(_ header: Header, bytes: Int, _ receivedAt: Instant, _ source: inout InputWire.Source) -> Bool {
        let stats = source.stats
        switch source.tracker.receive(incarnation: header.incarnation, sequence: header.sequence) {
        case .duplicate:
            stats[.duplicates] &+= 1
            return false
        case .fenced:
            stats[.fenced] &+= 1
            return false
        case .deliver(let lost):
            stats[.lost] &+= lost
        }
        if stats[.messages] == 0 { stats[.firstSequence] = header.sequence }
        stats[.messages] &+= 1
        note(header, bytes, receivedAt, stats)
        return true
    }

    func note(_ header: Header, _ bytes: Int, _ receivedAt: Instant, _ stats: StatsWireView) {
        stats[.bytes] &+= UInt64(bytes)
        stats[.incarnation] = header.incarnation
        stats[.sequence] = header.sequence
        stats[.trace] = header.trace.value
        stats.hop.record(receivedAt - header.sentAt)
        stats.age.record(receivedAt - header.originAt)
    }

    /// Counted always; each kind of mistake is logged the 1st, 2nd, 4th, 8th … time, so that a stream of rubbish can neither
    /// fill the disk nor hide another mistake.
    func noteMalformed(_ problem: String, kind: Int = 0, on wire: InputWire) {
        noteMalformed(problem, kind: kind, on: wire.name)
    }

    func noteMalformed(_ problem: String, kind: Int, on name: String) {
        malformedFrames += 1
        stats[.malformed] = malformedFrames
        let count = malformedByKind[kind, default: 0] + 1
        malformedByKind[kind] = count
        if count & (count - 1) == 0 {
            AgentLog.write(.warning, "skipped a frame on '\(name)': \(problem) (\(count) of this kind so far)")
        }
    }

    /// An order that no risk agent has approved: told here whatever its agent makes of it. As often as rubbish, for each
    /// reason.
    private func noteApproval(_ verdict: ApprovalVerdict, of payload: Payload, on wire: InputWire) {
        guard verdict != .valid, verdict != .notAsked, case .order(let order) = payload else { return }
        let count = unapproved[verdict, default: 0] + 1
        unapproved[verdict] = count
        guard count & (count - 1) == 0 else { return }
        let name = order.orderID.prefix(Limits.maxApprovalNameBytes)
        AgentLog.write(
            .warning, "order '\(name)' on '\(wire.name)' is not approved: \(verdict.reason) (\(count) so far)")
    }

    /// Gives the agent one event of its own and carries out what it wants.
    func handle(_ event: Event, at now: Instant, cause: Cause?) {
        guard durable == nil else { return handleDurably(event, at: now) }
        carryOut(event, at: now, cause: cause)
    }

    private func handle(
        _ message: Message, _ frame: UnsafeRawBufferPointer, isPosition: Bool, _ receivedAt: Instant
    ) {
        guard durable == nil else { return handleDurably(message, frame, isPosition: isPosition, at: receivedAt) }
        carryOut(.message(message), at: receivedAt, cause: message.cause)
    }

    func carryOut(_ event: Event, at now: Instant, cause: Cause?) {
        effects.removeAll()
        agent.handle(event, at: now, &effects)
        stats[.handled] &+= 1
        for effect in effects.list {
            do {
                try perform(effect, now, cause)
            } catch {
                // What comes after it is not carried out: the agent has said that it cannot go on.
                failure = AgentFailure(of: error)
                return
            }
        }
    }

    private func perform(_ effect: Effects.Effect, _ now: Instant, _ cause: Cause?) throws {
        switch effect {
        case .send(let payload, let port, let own):
            try send(payload, on: outputs[port.index], cause: own ?? cause, at: now)
            try tellSupervisor(payload, on: outputs[port.index], at: now)
        case .setTimer(let timer, let instant):
            guard timers.set(timer, at: instant) else {
                throw AgentFailure("the agent has armed more than \(Limits.maxTimers) timers")
            }
        case .cancelTimer(let timer): timers.cancel(timer)
        case .requestTurn(let instant): if !isStopping { turnNotBefore = instant }
        case .log(let level, let text): AgentLog.write(level, text)
        case .count(let counter, let amount): stats.add(amount, toCounter: counter.index)
        case .exhausted:
            stats[.exhausted] = 1
            notifier.exhausted()
        case .fail(let reason): throw reason
        }
    }

    private func send(_ payload: Payload, on output: OutputWire, cause: Cause?, at now: Instant) throws {
        if durable != nil { return try sendDurably(payload, on: output, cause: cause, at: now) }
        let sentAt = Clock.now()
        var frame = try authority.prepare(payload, at: sentAt).encoded()
        let sequence = output.nextSequence()
        let trace = cause?.trace ?? TraceID(output: output.id, incarnation: environment.incarnation, sequence: sequence)
        try frame.seal(
            Header(
                payloadType: payload.type, output: output.id, incarnation: environment.incarnation, sequence: sequence,
                trace: trace, originAt: cause?.originAt ?? sentAt, sentAt: sentAt, payloadBytes: 0))
        if !output.edges.isEmpty { try recorder.sent(frame) }
        try output.send(frame, trace: trace)
    }
}
