import Delivery
import Journal
import Wire
import ZeroMQ

/// The durable half of a round. The order that nothing may break: an event is in the journal before the agent is given it,
/// a message before it is sent, and both (with durability `power`, on the disk) before either is acknowledged or leaves.
extension AgentShell {
    /// Sends what the killed incarnation had decided on, and writes the snapshot from which this one begins.
    func resumeDurable() throws {
        guard let durable else { return }
        if durable.replayed > 0 {
            AgentLog.write(
                .info,
                "recovered: replayed \(durable.replayed) events, \(durable.pending.count) messages still to be sent")
        }
        for loss in durable.forgotten { AgentLog.write(.error, loss) }
        for message in durable.pending {
            guard let output = outputs.first(where: { $0.name == message.port }) else {
                throw AgentFailure(
                    "output '\(message.port)' is gone from agent.json, but a message on it is decided and not sent: declare it "
                        + "once more, let the agent run and stop it cleanly, then remove it")
            }
            let body = message.frame.bytes[Header.byteCount...]
            let payload = try body.withUnsafeBytes {
                try Payload(type: message.header.payloadType, encoding: message.header.encoding, bytes: $0)
            }
            let cause = Cause(trace: message.header.trace, originAt: message.header.originAt)
            // As old as the event that it came of: approvals and validity count from then.
            try sendDurably(payload, on: output, cause: cause, at: message.header.sentAt, isLate: true)
        }
        try takeSnapshot(isOpening: true)
        if let directory = environment.stateDirectory { try BegunMark.leave(in: directory) }
        try markJournaled()
    }

    func takeSnapshot(isOpening: Bool) throws {
        guard let durable else { return }
        let snapshot = try durable.snapshot(
            of: agent, timers: timers, turnNotBefore: turnNotBefore, isOpening: isOpening, inputs: inputs,
            outputs: outputs)
        try durable.journal.append(snapshot)
    }

    /// The snapshot that is due between events. One that is too large is said and tried again later: until it succeeds,
    /// the events since the last one stay in the journal, and a recovery replays them.
    func takeDueSnapshot() throws {
        guard let journal = durable?.journal else { return }
        do {
            try takeSnapshot(isOpening: false)
        } catch let error as StateTooLarge {
            AgentLog.write(
                .error, "no snapshot: \(error). Tried again after \(DurableLimits.inputsPerSnapshot) further events")
            journal.postponeSnapshot()
        }
    }

    // MARK: Events

    /// An event of the agent's own: a timer, a turn, its start or its end.
    func handleDurably(_ event: Event, at moment: Instant) {
        guard let journal = durable?.journal else { return }
        let now = journal.stamp(moment)
        let record: InputRecord
        switch event {
        case .start: record = InputRecord(.start, at: now)
        case .timer(let timer): record = InputRecord(.timer, at: now, timer: timer.number)
        case .turn: record = InputRecord(.turn, at: now)
        case .stop: record = InputRecord(.stop, at: now)
        case .message: preconditionFailure("messages are journaled with their frames")
        }
        guardedly {
            try journal.append(record, UnsafeRawBufferPointer(start: nil, count: 0))
            carryOut(event, at: now, cause: nil)
            try afterEvent()
        }
    }

    func handleDurably(
        _ message: Message, _ frame: UnsafeRawBufferPointer, isPosition: Bool, at receivedAt: Instant
    ) {
        guard let journal = durable?.journal else { return }
        let now = journal.stamp(receivedAt)
        guardedly {
            let port = UInt16(message.port.index)
            let record = InputRecord(
                .message, at: now, port: port, isPosition: isPosition, verification: message.approval.rawValue)
            try journal.append(record, frame)
            carryOut(.message(message), at: now, cause: message.cause)
            try afterEvent()
        }
    }

    private func guardedly(_ body: () throws -> Void) {
        do {
            try body()
        } catch {
            failure = AgentFailure(of: error)
        }
    }

    /// With durability `process`, what has been appended may leave at once.
    private func afterEvent() throws {
        guard failure == nil, let journal = durable?.journal, !journal.isPower else { return }
        try markJournaled()
        for output in outputs {
            if let durable = output.durable, durable.owesSomething { try durable.flush(at: Clock.now()) }
        }
    }

    /// What was appended is as durable as it is to be: it may be acknowledged and leave. What is not durable leaves here.
    private func markJournaled() throws {
        for output in outputs {
            output.durable?.didJournal()
            try output.release()
        }
        for wire in inputs {
            for index in wire.sources.indices { wire.sources[index].durable?.didJournal() }
        }
    }

    // MARK: Messages in

    /// Whether a message of a durable wire is the next one, to be given to the agent.
    func take(
        _ header: Header, _ frame: UnsafeRawBufferPointer, _ receivedAt: Instant, on wire: InputWire, _ index: Int
    ) -> Bool {
        let stats = wire.sources[index].stats
        let verdict = wire.sources[index].durable!.receiver.receive(
            epoch: header.incarnation, sequence: header.sequence)
        switch verdict {
        case .duplicate:
            stats[.duplicates] &+= 1
            if wire.sources[index].durable!.marks.differs(frame, number: header.sequence) {
                durable?.noteForged(
                    "message \(header.sequence) on '\(wire.name)' came twice and not alike: the first was handled, the second was "
                        + "not, and one of them is not its sender's")
            }
        case .fenced, .unannounced: stats[.fenced] &+= 1
        case .gap: stopIfHopeless(wire.sources[index])
        case .take:
            wire.sources[index].durable!.unapplied = header.sequence
            wire.sources[index].durable!.marks.note(frame, number: header.sequence)
            stats[.messages] = header.sequence
            note(header, frame.count, receivedAt, stats)
        }
        return verdict == .take
    }

    /// A message of a durable wire that can't be read must not be passed over. It is asked for again, within a bound.
    func refuse(_ header: Header, _ reason: String, from source: Int, of wire: InputWire) {
        guard wire.sources[source].durable != nil else { return }
        wire.sources[source].durable!.receiver.refuse(
            epoch: header.incarnation, sequence: header.sequence, reason: reason)
        stopIfHopeless(wire.sources[source])
    }

    private func stopIfHopeless(_ source: InputWire.Source) {
        guard let problem = source.durable?.receiver.problem, let journal = durable?.journal else { return }
        guardedly {
            // A replaced process ends as replaced, whatever it is missing.
            try journal.confirm()
            throw AgentFailure("\(problem)")
        }
    }

    /// A sender of a durable input says who it is.
    func greet(_ frame: UnsafeRawBufferPointer, on wire: InputWire) {
        let control: DeliveryControl
        do throws(FrameError) {
            control = try DeliveryControl(frame: frame)
        } catch {
            return noteMalformed("\(error)", on: wire)
        }
        let me = ConsumerID(port: "\(environment.name).\(wire.name)")
        guard case .hello(let hello) = control, hello.consumer == me, let journal = durable?.journal,
            let index = wire.index(of: hello.output), wire.sources[index].durable != nil
        else { return noteMalformed("a control frame that is not for this port", on: wire) }
        guardedly {
            let greeting: DurableReceiver.Greeting
            do {
                greeting = try wire.sources[index].durable!.receiver.receive(hello)
            } catch {
                try journal.confirm()
                throw AgentFailure("\(error)")
            }
            stopIfHopeless(wire.sources[index])
            switch greeting {
            case .known: try wire.sources[index].durable!.acks.noteRepeatedHello()
            case .fenced: wire.sources[index].stats[.fenced] &+= 1
            case .implausible: noteMalformed("\(hello) is nothing that its sender says now", kind: -5, on: wire)
            case .refused(let error): AgentLog.write(.error, "\(error)")
            case .new:
                let state = wire.sources[index].durable!.receiver.state
                try journal.append(
                    PositionRecord(
                        port: UInt64(wire.port.index), output: hello.output, senderEpoch: state.senderEpoch,
                        applied: state.applied))
                try journal.sync()
                // The sync has taken with it what this round had appended before.
                try markJournaled()
                wire.sources[index].stats[.messages] = wire.sources[index].durable!.receiver.accepted
            }
        }
    }

    // MARK: Messages out

    /// `now`: of the event that the message comes of; `isLate`: an earlier incarnation was given that event.
    func sendDurably(
        _ payload: Payload, on output: OutputWire, cause: Cause?, at now: Instant, isLate: Bool = false
    ) throws {
        guard let journal = durable?.journal else { return }
        var frame = try authority.prepare(payload, at: now).encoded()
        let sequence = output.durable?.number(at: now) ?? output.nextSequence()
        var header = Header.made(
            payload, output: output.id, incarnation: environment.incarnation, sequence: sequence, cause: cause, at: now)
        // A message that begins a trace is sent when it begins.
        if cause != nil, !isLate { header.sentAt = Clock.now() }
        try frame.seal(header)
        if output.stream == nil { try journal.append(sent: frame) }
        if let durable = output.durable {
            durable.append(frame, trace: header.trace)
        } else if journal.isPower {
            output.withhold(frame, trace: header.trace)
        } else {
            try output.send(frame, trace: header.trace)
        }
    }

    // MARK: Between events

    /// Hears what consumers have acknowledged. Always read, however full the outputs are.
    func receiveAcks() throws {
        guard let durable else { return }
        let now = Clock.now()
        while let control = try durable.nextControl(orElse: { noteMalformed($0, kind: -2, on: "acks") }) {
            do {
                let output = outputs.first { $0.id == control.output }?.durable
                switch try output?.receive(control, at: now) ?? .stranger {
                case .stranger: noteMalformed("it is about a wire that does not leave here", kind: -3, on: "acks")
                case .implausible: noteMalformed("\(control) is nothing that a receiver says", kind: -4, on: "acks")
                case .taken, .stale, .fenced: break
                }
            } catch {
                // A replaced process may be told what is wrong only for itself: it ends as replaced.
                try durable.journal.confirm()
                if case DeliveryError.replaced = error, durable.hasPast {
                    // Whoever replaces this process claims its journal before it says a word.
                    durable.noteForged("\(control) tells of a successor that there is not")
                    continue
                }
                guard durable.hasPast else {
                    throw AgentFailure(
                        "\(error), or this agent's folder in the run directory is gone, with its journal and the number of its "
                            + "incarnation: put it back, or move the journals of the whole fleet away to begin anew "
                            + "(a risk agent then begins HALTED)")
                }
                throw AgentFailure("\(error)")
            }
        }
        for output in outputs { try output.durable?.tick(at: now) }
    }

    /// Ends a round: what it has appended is made as durable as it is to be, then leaves, then is acknowledged.
    func settleDurable(isIdle: Bool) throws {
        guard let durable, failure == nil else { return }
        if durable.journal.isSnapshotDue {
            if durable.journal.isPower { try commit(durable.journal) }
            try takeDueSnapshot()
        }
        if durable.journal.isPower { try commit(durable.journal) }
        let now = Clock.now()
        if outputs.contains(where: { $0.durable?.owesSomething ?? false }) {
            // What was journaled in an earlier round may go only while nobody has replaced this process.
            try durable.journal.confirm()
            for output in outputs { try output.durable?.flush(at: now) }
        }
        for wire in inputs where wire.delivery == .durable {
            for index in wire.sources.indices {
                try wire.sources[index].durable?.acknowledge(isEnding: isStopping, at: now)
            }
        }
        try journalAcks(durable.journal)
        if isIdle { durable.journal.prepareAhead() }
    }

    private func journalAcks(_ journal: DurableJournal) throws {
        for (port, output) in outputs.enumerated() {
            guard let durable = output.durable, let acked = durable.ackNews else { continue }
            try journal.append(AcknowledgedRecord(port: UInt64(port), sequence: acked))
            durable.didJournalAcks(upTo: acked)
        }
    }

    private func commit(_ journal: DurableJournal) throws {
        guard journal.hasNews else { return }
        try journal.sync()
        try markJournaled()
    }

    /// When a consumer's silence is to be noticed, or an acknowledgement can't wait any longer.
    var durableDeadline: Instant? {
        guard durable != nil else { return nil }
        var first: Instant?
        func note(_ deadline: Instant?) {
            if let deadline { first = min(first ?? deadline, deadline) }
        }
        for output in outputs { note(output.durable?.sender.deadline) }
        for wire in inputs where wire.delivery == .durable {
            for source in wire.sources { note(source.durable?.ackDueAt) }
        }
        return first
    }

    /// The end of an orderly stop: what consumers have not acknowledged is waited for within a bound (it is in the journal
    /// in any case), then the state is written down.
    func endDurable() throws {
        for wire in inputs { if let token = wire.token { poller.watch(token, for: []) } }
        guard failure == nil else { return handOverLast() }
        let deadline = Clock.now() + StopLimits.flush
        while outputs.contains(where: { $0.forwardBacklog > 0 }) && Clock.now() < deadline {
            try watchOutputs()
            _ = try poller.wait(timeoutNs: StopLimits.look.count)
            try flushOutputs()
            try receiveAcks()
            try settleDurable(isIdle: true)
        }
        let left = outputs.reduce(0) { $0 + $1.forwardBacklog }
        if left > 0 { AgentLog.write(.info, "ended with \(left) messages to be sent again: not acknowledged yet") }
        try takeSnapshot(isOpening: false)
    }

    /// The agent has failed: what it had said before leaves as far as the journal still takes it. What does not is said by
    /// the next incarnation's replay.
    private func handOverLast() {
        guard let journal = durable?.journal, journal.isPower else { return }
        try? commit(journal)
    }
}
