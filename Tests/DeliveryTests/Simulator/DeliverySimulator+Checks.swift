import Delivery
import Wire

/// What must hold, judged by the journals: they are the truth.
extension DeliverySimulator {
    /// Appends to the journal if the process may still write it.
    func append(_ record: Record, _ process: SimulatedProcess) {
        let node = process.node
        guard nodes[node].journal.owner == process.epoch else {
            process.astray.append(record)
            return
        }
        switch record {
        case .input(let edge, _, let letter): checkInput(letter, edge)
        case .heard(let edge, let state):
            let before = nodes[node].journal.applied[edge]
            if state.applied > before, floors[edge] != state.applied, !mayFailClosed {
                fail(
                    "edge \(edge): passes from \(before) to \(state.applied), but it begins after \(floors[edge] ?? 0)")
            }
        case .sent(let output, _, let letter):
            let next = UInt64(nodes[node].journal.sent[output].count + 1)
            if letter.sequence != next { fail("N\(node) numbers \(letter.sequence) where \(next) is next") }
        case .opened, .turn, .snapshot: break
        }
        nodes[node].journal.append(defect == .forgetsTheFloor ? forgettingFloors(record) : record)
    }

    /// Prefix order, effect at most once, and the effect of what was sent.
    private func checkInput(_ letter: Letter, _ edge: Int) {
        let before = nodes[edges[edge].target].journal.applied[edge]
        let isFirst = floors[edge].map { before < $0 && letter.sequence == $0 + 1 } ?? false
        if letter.sequence != before + 1 && !isFirst {
            fail("edge \(edge): message \(letter.sequence) takes effect after \(before)")
        }
        checkContent(letter, edge)
    }

    private func checkContent(_ letter: Letter, _ edge: Int) {
        let sent = nodes[edges[edge].source].journal.sent[edges[edge].output]
        guard letter.sequence <= UInt64(sent.count) else {
            return fail("edge \(edge): message \(letter.sequence) takes effect, but its sender knows nothing of it")
        }
        if sent[Int(letter.sequence) - 1] != letter.content {
            fail("edge \(edge): message \(letter.sequence) is not what its sender's journal has")
        }
    }

    /// No new work while a consumer is as far behind as it may be, waited for or not.
    func checkBacklog(_ records: [Record], _ process: SimulatedProcess) {
        guard process.senders.contains(where: \.isFull) else { return }
        for record in records {
            switch record {
            case .input(let edge, _, _) where !edges[edge].isFeedback: break
            case .turn: break
            default: continue
            }
            return fail("N\(process.node) begins new work although a consumer is too far behind")
        }
    }

    /// Nothing is on the wire that a crash could take back.
    func checkSend(_ letter: Letter, _ output: Int, _ process: SimulatedProcess) {
        let journal = nodes[process.node].journal
        if letter.sequence > UInt64(journal.durable(output: output)) {
            return fail("N\(process.node) sends message \(letter.sequence) before it is durable")
        }
        if journal.sent[output][Int(letter.sequence) - 1] != letter.content {
            fail("N\(process.node).\(process.epoch) sends another message \(letter.sequence) than the journal has")
        }
    }

    /// An acknowledgement means durable.
    func checkReport(_ control: DeliveryControl, _ edge: Int) {
        guard case .ack(let report) = control else { return }
        let durable = nodes[edges[edge].target].journal.durable(edge: edge)
        if report.applied > durable, !mayFailClosed {
            fail("edge \(edge): message \(report.applied) is acknowledged, but only \(durable) is durable")
        }
    }

    /// Only what all consumers have is forgotten.
    func checkTrim(_ output: Int, _ process: SimulatedProcess) {
        guard nodes[process.node].current === process, !mayFailClosed else { return }
        for edge in process.consumers[output] {
            let durable = nodes[edges[edge].target].journal.durable(edge: edge)
            let has = max(durable, floors[edge] ?? 0)
            if process.kept[output].first > has + 1 {
                fail("N\(process.node) forgets up to \(process.kept[output].first - 1), edge \(edge) has only \(has)")
            }
        }
    }

    /// Where a consumer begins is said once and for all.
    func checkFloors(_ process: SimulatedProcess) {
        guard nodes[process.node].journal.owner == process.epoch else { return }
        for (output, sender) in process.senders.enumerated() {
            for (consumer, edge) in process.consumers[output].enumerated() where edges[edge].isWired {
                let floor = sender.state.consumers[consumer].floor
                if let known = floors[edge], known != floor, !mayFailClosed {
                    fail("edge \(edge) began after \(known), now after \(floor)")
                }
                floors[edge] = floor
            }
        }
    }

    // MARK: The end

    func isSettled() -> Bool { unsettled().isEmpty }

    func unsettled() -> String {
        for (index, node) in nodes.enumerated() {
            guard let process = node.current, process.hasBegun else { return "N\(index) is not up" }
            if process.agent.turns < node.turns { return "N\(index) has begun only \(process.agent.turns) messages" }
            if !process.steps.isEmpty { return "N\(index) is busy" }
            for sender in process.senders where sender.unacked > 0 {
                return "\(sender.output): \(sender.unacked) unacknowledged"
            }
        }
        for (index, edge) in edges.enumerated() where edge.isWired {
            let sent = nodes[edge.source].journal.sent[edge.output].count
            let applied = nodes[edge.target].journal.applied[index]
            if max(applied, floors[index] ?? 0) != UInt64(sent) {
                return "edge \(index): \(applied) of \(sent) took effect"
            }
        }
        return ""
    }

    /// Whatever took effect is what its sender said, and replay gives the state that the agents have.
    func checkEnd() {
        for (index, node) in nodes.enumerated() {
            for case .input(let edge, _, let letter) in node.journal.records {
                // After a power loss, only what still is a wire can be held to what its ends say to each other.
                let isBound = edges[edge].isWired && letter.sequence > floors[edge] ?? 0
                if isBound || !mayFailClosed { checkContent(letter, edge) }
            }
            let recovery = Recovery(node.journal, outputs: node.outputs, isFeedback: isFeedback)
            if let difference = recovery.difference { fail("N\(index): \(difference)") }
            if recovery.agent != node.current?.agent { fail("N\(index): replay gives another state") }
            if !recovery.missing.isEmpty { fail("N\(index): \(recovery.missing.count) answers were never sent") }
        }
    }
}

/// Defects that need more than another order of steps.
extension DeliverySimulator {
    func tamper(with found: inout Recovery) {
        if defect == .forgetsTheLastAnswer { found.missing = [] }
        guard defect == .reusesNumbers else { return }
        for output in found.senders.indices {
            guard var state = found.senders[output], let acked = state.consumers.map(\.acked).min() else { continue }
            state.last = min(acked, state.last)
            found.senders[output] = state
            found.kept[output] = Retained(first: state.last + 1)
        }
    }

    func tampered(_ control: DeliveryControl, _ process: SimulatedProcess) -> DeliveryControl {
        switch (defect, control) {
        case (.ignoresPositions, .position(let report, _)): return .position(report, resend: false)
        case (.forgivesLostRecords, .position(var report, let resend)):
            for sender in process.senders where sender.id == report.output {
                report.senderEpoch = process.epoch
                report.applied = min(report.applied, sender.journaled)
            }
            return .position(report, resend: resend)
        case (.fencesNothingOnTheWire, .ack(var report)), (.fencesNothingOnTheWire, .position(var report, _)):
            for case let known? in process.senders.map({ $0.state.consumers.first { $0.id == report.consumer } }) {
                report.epoch = max(report.epoch, known.epoch)
            }
            if case .position(_, let resend) = control { return .position(report, resend: resend) }
            return .ack(report)
        default: return control
        }
    }

    func trimTooMuch(_ output: Int, _ process: SimulatedProcess) {
        guard defect == .trimsForTheFastest else { return }
        let fastest = process.senders[output].state.consumers.map(\.acked).max() ?? 0
        process.kept[output].removeAll(before: fastest + 1)
    }

    func forgettingFloors(_ record: Record) -> Record {
        guard case .opened(let states) = record else { return record }
        return .opened(states.map { DurableSender.State(last: $0.last, consumers: []) })
    }
}
