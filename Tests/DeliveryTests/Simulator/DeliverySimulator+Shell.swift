import Delivery
import TestSupport
import Wire

/// What the shell around the protocol does, one step at a time.
extension DeliverySimulator {
    func step(_ process: SimulatedProcess) {
        process.nextAt = now + random.span(us: 1...30)
        guard let step = process.steps.popLast() else { return round(process) }
        let node = process.node
        switch step {
        case .claim: recover(process)
        case .append(let record): append(record, process)
        case .look:
            if nodes[node].journal.owner != process.epoch, defect != .ignoresTheClaim { kill(process) }
        case .sync: if nodes[node].journal.owner == process.epoch { nodes[node].journal.sync() }
        case .begin:
            process.hasBegun = true
            checkFloors(process)
        case .handle(.input(let edge, _, let letter)):
            let answers = process.agent.handle(
                letter, edge: edge, isFeedback: edges[edge].isFeedback, outputs: nodes[node].outputs)
            process.plan(answers.map { .number(output: $0.output, content: $0.content, reach: $0.reach) })
        case .handle:
            let answers = process.agent.turn(outputs: nodes[node].outputs)
            process.plan(answers.map { .number(output: $0.output, content: $0.content, reach: $0.reach) })
        case .number(let output, let content, let reach): number(output, content, reach, process)
        case .applied(let edge, let sequence): process.receivers[edge]!.didApply(upTo: sequence)
        case .journaled:
            for output in process.senders.indices {
                process.senders[output].didJournal(upTo: process.senders[output].last)
            }
        case .flush: flush(process)
        case .pushHello(let output, let consumer): pushHello(output, consumer, process)
        case .pushNext(let output, let consumer): pushNext(output, consumer, process)
        case .pushControl(let edge, let isIdle): pushControl(edge, isIdle, process)
        case .prepareSnapshot: prepareSnapshot(process)
        }
    }

    private func recover(_ process: SimulatedProcess) {
        let node = process.node
        // One that was stopped before it ever claimed its journal finds its successor there.
        guard nodes[node].journal.owner < process.epoch else { return kill(process) }
        nodes[node].journal.owner = process.epoch
        var found = Recovery(nodes[node].journal, outputs: nodes[node].outputs, isFeedback: isFeedback)
        if let difference = found.difference { return fail("N\(node): \(difference)") }
        tamper(with: &found)
        process.agent = found.agent
        process.kept = found.kept
        for output in 0..<nodes[node].outputs {
            let mine = edges.indices.filter {
                edges[$0].source == node && edges[$0].output == output && process.wired[$0]
            }
            process.consumers.append(mine)
            let sender = DurableSender(
                output: "N\(node).out\(output)", epoch: process.epoch, consumers: mine.map { edges[$0].consumer },
                restored: found.senders[output], limits: limits, at: Instant(nanoseconds: now))
            process.kept[output].removeAll(before: sender.firstKept)
            process.senders.append(sender)
        }
        process.unwired = found.receivers
        for edge in edges.indices where edges[edge].target == node && process.wired[edge] {
            process.receivers[edge] = DurableReceiver(
                source: edges[edge].outputPort, port: edges[edge].consumer.port, epoch: process.epoch,
                restored: found.receivers[edge], limits: limits)
            process.unwired[edge] = nil
        }
        let missing = found.missing.map {
            SimulatedProcess.Step.number(output: $0.output, content: $0.content, reach: $0.reach)
        }
        let sync: [SimulatedProcess.Step] = nodes[node].journal.isPower ? [.sync] : []
        process.plan(
            [.append(.opened(process.senders.map(\.state)))] + sync + [.look, .begin] + missing + sync
                + [.look, .journaled, .flush])
    }

    // MARK: A round

    private func round(_ process: SimulatedProcess) {
        process.incoming.removeAll { $0.isBroken && $0.count == 0 }
        let isFull = process.senders.contains { self.isFull($0) }
        for output in process.senders.indices {
            guard let deadline = process.senders[output].deadline, deadline.nanoseconds <= now else { continue }
            if defect != .neverSaysHelloAgain { process.senders[output].tick(at: Instant(nanoseconds: now)) }
            return process.plan([.flush])
        }
        if !(isFull && defect == .deafWhenFull), let pipe = readable(process, where: { !$0.isForward }) {
            return readAck(pipe, process)
        }
        let readsInputs = !isFull || defect != .waitsForFeedback
        let isReadable = { (pipe: SimulatedPipe) in
            pipe.isForward && readsInputs && (!isFull || self.edges[pipe.edge].isFeedback)
        }
        if let pipe = readable(process, where: isReadable) { return readInput(pipe, process, isReadable) }
        if !isFull, process.agent.turns < nodes[process.node].turns, random.percent(20) {
            return take([.turn], process)
        }
        if random.percent(3) { return process.plan([.prepareSnapshot]) }
        idle(process, isReadable)
    }

    /// Nothing to do: says what is owed, then sleeps until something comes.
    private func idle(_ process: SimulatedProcess, _ isReadable: @escaping (SimulatedPipe) -> Bool) {
        var wake = Int64.max
        for edge in process.receivers.keys.sorted() where process.receivers[edge]!.owed(isIdle: true) != nil {
            if process.wired[edge] { process.plan([.pushControl(edge: edge, isIdle: true)]) }
        }
        let owesForward = process.senders.indices.contains { output in
            (0..<process.senders[output].consumerCount).contains {
                process.senders[output].hello(for: $0) != nil || process.senders[output].sendable(to: $0) != nil
            }
        }
        if owesForward { process.plan([.flush]) }
        // What a full or missing connection refused is tried again after a while.
        if !process.steps.isEmpty { wake = now + random.span(us: 50...300) }
        for pipe in process.incoming {
            if let at = pipe.nextAt, !pipe.isForward || isReadable(pipe) { wake = min(wake, max(at, now + 1)) }
        }
        for sender in process.senders {
            if let deadline = sender.deadline { wake = min(wake, max(deadline.nanoseconds, now + 1)) }
        }
        if process.agent.turns < nodes[process.node].turns { wake = min(wake, now + random.span(us: 10...400)) }
        process.nextAt = wake
    }

    func isFull(_ sender: DurableSender) -> Bool {
        (0..<sender.consumerCount).contains {
            switch defect {
            case .waitsForFeedback: sender.unacked(by: $0) >= limits.window
            case .keepsWithoutEnd: !sender.consumer($0).isFeedback && sender.unacked(by: $0) >= limits.window
            default: sender.isFull
            }
        }
    }

    private func readable(_ process: SimulatedProcess, where isWanted: @escaping (SimulatedPipe) -> Bool)
        -> SimulatedPipe?
    {
        let ready = process.incoming.filter { ($0.nextAt ?? .max) <= now && isWanted($0) }
        return ready.isEmpty ? nil : ready[random.below(ready.count)]
    }

    private func readAck(_ pipe: SimulatedPipe, _ process: SimulatedProcess) {
        guard case .control(let control) = pipe.pop() else { return }
        log("N\(process.node).\(process.epoch) hears \(control)")
        guard let output = process.senders.firstIndex(where: { $0.id == control.output }) else { return }
        do {
            _ = try process.senders[output].receive(tampered(control, process), at: Instant(nanoseconds: now))
        } catch {
            return stop(process, error)
        }
        process.kept[output].removeAll(before: process.senders[output].firstKept)
        trimTooMuch(output, process)
        checkTrim(output, process)
        process.plan([.flush])
    }

    private func readInput(
        _ pipe: SimulatedPipe, _ process: SimulatedProcess, _ isReadable: @escaping (SimulatedPipe) -> Bool
    ) {
        var records: [Record] = []
        absorb(pipe, process, &records)
        // A batch for one sync.
        while process.life == .running, nodes[process.node].journal.isPower, random.percent(50),
            let more = readable(process, where: isReadable)
        {
            absorb(more, process, &records)
        }
        if process.life == .running, !records.isEmpty { take(records, process) }
    }

    private func absorb(_ pipe: SimulatedPipe, _ process: SimulatedProcess, _ records: inout [Record]) {
        let parcel = pipe.pop()
        guard process.receivers[pipe.edge] != nil else { return }
        switch parcel {
        case .control(.hello(let hello)):
            if let record = hear(hello, pipe.edge, process) { records.append(record) }
        case .control: return
        case .letter(let epoch, let letter): receive(epoch, letter, pipe.edge, process, &records)
        }
    }

    private func receive(
        _ epoch: UInt64, _ letter: Letter, _ edge: Int, _ process: SimulatedProcess, _ records: inout [Record]
    ) {
        let known = process.receivers[edge]!.state.senderEpoch
        let seen = defect == .fencesNothingOnTheWire && epoch < known ? known : epoch
        let verdict = process.receivers[edge]!.receive(epoch: seen, sequence: letter.sequence)
        log("N\(process.node).\(process.epoch) edge \(edge) message \(letter.sequence) of \(epoch): \(verdict)")
        switch verdict {
        case .take: records.append(.input(edge: edge, epoch: epoch, letter))
        case .duplicate: if defect == .takesDuplicates { records.append(.input(edge: edge, epoch: epoch, letter)) }
        case .gap: if defect == .takesBeyondGaps { records.append(.input(edge: edge, epoch: epoch, letter)) }
        case .fenced, .unannounced: break
        }
    }

    private func hear(_ hello: DeliveryHello, _ edge: Int, _ process: SimulatedProcess) -> Record? {
        var hello = hello
        if defect == .fencesNothingOnTheWire {
            hello.epoch = max(hello.epoch, process.receivers[edge]!.state.senderEpoch)
        }
        do {
            var greeting = try process.receivers[edge]!.receive(hello)
            if case .refused = greeting, defect == .forgivesLostRecords {
                var forgiven = hello
                forgiven.knows = process.receivers[edge]!.state.senderEpoch
                forgiven.begins = process.receivers[edge]!.accepted + 1
                greeting = try process.receivers[edge]!.receive(forgiven)
            }
            log("N\(process.node).\(process.epoch) edge \(edge) \(hello): \(greeting)")
            switch greeting {
            case .known, .fenced, .implausible: break
            case .refused(let error): failClosed(error)
            case .new: return .heard(edge: edge, process.receivers[edge]!.state)
            }
        } catch {
            stop(process, error)
        }
        return nil
    }

    /// Writes inputs down, handles them, sends what comes of it.
    private func take(_ records: [Record], _ process: SimulatedProcess) {
        checkBacklog(records, process)
        let isPower = nodes[process.node].journal.isPower
        var acks: [SimulatedProcess.Step] = []
        var early: [SimulatedProcess.Step] = []
        var applied: [SimulatedProcess.Step] = []
        for record in records {
            guard case .input(let edge, _, let letter) = record else { continue }
            // What a defective shell takes beyond a gap, it can't say it has applied.
            guard letter.sequence <= process.receivers[edge]!.accepted else { continue }
            applied.append(.applied(edge: edge, letter.sequence))
            acks.append(.pushControl(edge: edge, isIdle: true))
        }
        if defect == .acksBeforeWriting { early = applied + acks }
        let handled = records.compactMap { record -> SimulatedProcess.Step? in
            if case .heard = record { nil } else { .handle(record) }
        }
        if isPower {
            var work: [SimulatedProcess.Step] = []
            for record in records {
                work.append(.append(record))
                if case .heard = record { continue }
                work.append(.handle(record))
            }
            switch defect {
            case .acksBeforeSyncing: process.plan(early + work + applied + acks + [.sync, .look, .journaled, .flush])
            case .sendsBeforeSyncing: process.plan(work + [.look, .journaled, .flush, .sync] + applied)
            default: process.plan(early + work + [.sync, .look] + applied + [.journaled, .flush])
            }
        } else {
            process.plan(
                early + records.map { .append($0) } + [.look] + applied + handled
                    + [.look, .journaled, .flush])
        }
    }

    private func number(_ output: Int, _ content: UInt64, _ reach: Int, _ process: SimulatedProcess) {
        let sequence = process.senders[output].append(at: Instant(nanoseconds: now))
        let letter = Letter(sequence: sequence, content: content, reach: reach)
        process.kept[output].append(letter, number: sequence)
        let write = SimulatedProcess.Step.append(.sent(output: output, epoch: process.epoch, letter))
        process.plan(defect == .sendsBeforeWriting ? [.journaled, .flush, write] : [write])
    }

    private func prepareSnapshot(_ process: SimulatedProcess) {
        let receivers = process.unwired.merging(process.receivers.mapValues(\.state)) { $1 }
        let snapshot = Snapshot(
            agent: process.agent, senders: process.senders.map(\.state), receivers: receivers, kept: process.kept)
        let sync: [SimulatedProcess.Step] = nodes[process.node].journal.isPower ? [.sync] : []
        process.plan([.append(.snapshot(snapshot))] + sync + [.look])
    }

    // MARK: Connections

    private func flush(_ process: SimulatedProcess) {
        for output in process.senders.indices {
            for consumer in 0..<process.senders[output].consumerCount {
                process.plan([
                    .pushHello(output: output, consumer: consumer), .pushNext(output: output, consumer: consumer),
                ])
            }
        }
        for edge in process.receivers.keys.sorted() { process.plan([.pushControl(edge: edge, isIdle: false)]) }
    }

    private func pushHello(_ output: Int, _ consumer: Int, _ process: SimulatedProcess) {
        guard let hello = process.senders[output].hello(for: consumer) else { return }
        guard push(.control(.hello(hello)), process, process.consumers[output][consumer], isForward: true) else {
            return
        }
        process.senders[output].didSendHello(to: consumer, at: Instant(nanoseconds: now))
    }

    private func pushNext(_ output: Int, _ consumer: Int, _ process: SimulatedProcess) {
        guard let range = process.senders[output].sendable(to: consumer) else { return }
        let sequence = range.lowerBound
        guard sequence >= process.kept[output].first, sequence < process.kept[output].next else {
            return fail("N\(process.node) is to send message \(sequence), but doesn't keep it")
        }
        let letter = process.kept[output][sequence]
        checkSend(letter, output, process)
        let parcel = Parcel.letter(epoch: process.epoch, letter)
        guard push(parcel, process, process.consumers[output][consumer], isForward: true) else { return }
        process.senders[output].didSend(upTo: sequence, to: consumer)
        if defect == .trimsWhatWasSent { process.kept[output].removeAll(before: sequence + 1) }
        process.plan([.pushNext(output: output, consumer: consumer)])
    }

    private func pushControl(_ edge: Int, _ isIdle: Bool, _ process: SimulatedProcess) {
        guard let control = process.receivers[edge]!.owed(isIdle: isIdle) else { return }
        checkReport(control, edge)
        if push(.control(control), process, edge, isForward: false) { process.receivers[edge]!.didSend(control) }
    }

    /// False: the connection has no room, or there is none.
    private func push(_ parcel: Parcel, _ process: SimulatedProcess, _ edge: Int, isForward: Bool) -> Bool {
        guard let pipe = pipe(process, edge, isForward: isForward), pipe.count < capacity else { return false }
        let at = max(pipe.parcels.last?.at ?? 0, now + random.span(us: 5...300))
        pipe.parcels.append((at, parcel))
        if pipe.target.life == .running { pipe.target.nextAt = min(pipe.target.nextAt, max(at, now + 1)) }
        return true
    }

    /// A connection goes to whoever holds the listener: the successor, or a predecessor that woke up.
    private func pipe(_ process: SimulatedProcess, _ edge: Int, isForward: Bool) -> SimulatedPipe? {
        if let pipe = isForward ? process.outgoing[edge] : process.acks[edge], !pipe.isBroken { return pipe }
        let node = isForward ? edges[edge].target : edges[edge].source
        let listening = processes.filter { $0.node == node && $0.life == .running && $0.hasBegun }
        guard !listening.isEmpty, random.percent(70) else { return nil }
        let pipe = SimulatedPipe(edge: edge, isForward: isForward, target: listening[random.below(listening.count)])
        pipe.target.incoming.append(pipe)
        if isForward { process.outgoing[edge] = pipe } else { process.acks[edge] = pipe }
        return pipe
    }

    // MARK: Ends

    private func stop(_ process: SimulatedProcess, _ error: DeliveryError) {
        log("N\(process.node).\(process.epoch) stops: \(error)")
        if nodes[process.node].journal.owner != process.epoch {
            // A replaced one knows too little to judge: it ends as such.
        } else if case .replaced = error {
            if nodes[process.node].current === process { fail("the living one was told that it is replaced") }
        } else {
            failClosed(error)
        }
        kill(process)
    }

    private func failClosed(_ error: DeliveryError) {
        if mayFailClosed { hasFailedClosed = true } else { fail("no journal was lost, but: \(error)") }
    }
}
