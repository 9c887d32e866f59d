import CLinux
import Foundation
import Supervision
import Wire

/// Drop-ins that come, change and go by themselves. `DropInWatch` says when; here is what is done then.
extension Supervisor {
    func beginWatching() {
        guard plan.configuration.watch.isEnabled else { return }
        do {
            dropIns.kernel = try AgentsWatch(
                directory: plan.configuration.agentsDirectory, loop: loop,
                receive: { [unowned self] in noteDropIn($0) },
                matters: { [unowned self] in matters(entry: $0, file: $1) },
                complain: { [unowned self] in tell(dropIn: $0) })
            dropIns.kernel?.follow(plan.agents)
        } catch {
            tell(dropIn: "the agents directory is not watched, use `agentctl reload` after a change: \(error)")
        }
    }

    func endWatching() {
        dropIns.kernel?.close()
        dropIns.kernel = nil
        if let timer = dropIns.timer { loop.cancel(timer) }
        dropIns.timer = nil
    }

    private func tell(dropIn message: String, agent: String? = nil) {
        record(kind: "drop-in", agent: agent, message: message)
        console.line(message)
    }

    // MARK: From change to rest

    private func noteDropIn(_ change: DropInWatch.Change) {
        dropIns.watch.note(change, at: EventLoop.now())
        armDropIns()
    }

    /// What has changed while no supervisor lived is found as what changes now.
    func lookAtEverything() {
        _ = noteChanges(of: plan.agents, areTaken: plan.configuration.watch.restartsChanged)
        if plan.configuration.watch.isEnabled { noteDropIn(.overflow) }
    }

    private func armDropIns() {
        guard let deadline = dropIns.watch.deadline else { return }
        if let timer = dropIns.timer {
            // One that fires early finds nothing settled and is set again: cheaper than a new one for each change.
            guard deadline < dropIns.timerAt else { return }
            loop.cancel(timer)
        }
        dropIns.timerAt = deadline
        dropIns.timer = loop.schedule(at: deadline) { [unowned self] in
            dropIns.timer = nil
            let settled = dropIns.watch.take(at: EventLoop.now())
            if !settled.isEmpty { requestLook(at: settled) }
            armDropIns()
        }
    }

    /// A healthy agent may keep files in its folder; what says something about it are its manifest and its program.
    private func matters(entry: String, file: String) -> Bool {
        guard let agent = plan.agents.first(where: { $0.entry == entry }), !isAiling(agent) else { return true }
        return file == Self.manifestName || file == agent.executablePath.map { ($0 as NSString).lastPathComponent }
    }

    static let manifestName = "agent.json"

    /// Can't run as it is configured: whatever changes may be the cure.
    private func isAiling(_ agent: AgentPlan) -> Bool {
        if !agent.errors.isEmpty { return true }
        switch fleet.view(of: AgentID(agent.name))?.failureReason {
        case .misconfigured, .rejectedConfiguration, .cannotExecute: return true
        case .tooManyRestarts, .tooManyGroupRestarts, .survivors, nil: return false
        }
    }

    // MARK: A look

    /// Ends the turn.
    func look(at settled: DropInWatch.Settled) {
        let fresh = findFresh(settled)
        guard !fresh.isEmpty else { return endTurn() }
        // What was in the way of a rejected one may be gone now.
        takeOver(fresh.union(dropIns.rejected.keys))
    }

    /// Entries that are to be read anew.
    private func findFresh(_ settled: DropInWatch.Settled) -> Set<String> {
        let directory = plan.configuration.agentsDirectory
        let present: Set<String>
        do throws(ConfigurationSourceError) {
            let entries = try HostConfigurationSource().entries(ofDirectory: directory)
            present = Set(entries.map(\.name).filter { !TemporaryNames.contains($0) })
        } catch {
            // Not a reason to stop anybody: the directory may be on its way back.
            tell(dropIn: "\(directory) can't be read, nothing is changed: \(error)")
            return []
        }
        // What somebody has touched is asked about again, as far as it still differs.
        dropIns.refused = dropIns.refused.filter {
            !settled.isEverything && !settled.entries.contains($0.value.entry) && present.contains($0.value.entry)
        }
        let known = Dictionary(grouping: plan.agents, by: \.entry)
        let seen = settled.isEverything ? present.union(known.keys) : settled.entries
        var fresh: Set<String> = []
        for entry in seen {
            guard let agents = known[entry] else {
                fresh.insert(entry)
                continue
            }
            guard present.contains(entry) else {
                // The directory was lost: what is missing may still come back.
                if !dropIns.watch.isRegrowing { fresh.insert(entry) }
                continue
            }
            let isTaken = plan.configuration.watch.restartsChanged || settled.isSwapped
            let isChanged = noteChanges(of: agents, areTaken: isTaken)
            if agents.contains(where: isAiling) || (isChanged && isTaken) {
                fresh.insert(entry)
            } else if !isChanged {
                // It is again what runs.
                dropIns.rejected[entry] = nil
            }
        }
        dropIns.rejected = dropIns.rejected.filter { present.contains($0.key) }
        return fresh
    }

    /// Notes whether these agents would be others if they were started from the disk.
    private func noteChanges(of agents: [AgentPlan], areTaken: Bool) -> Bool {
        var isAny = false
        for agent in agents {
            let stamp = ExecutableStamp(of: agent.executablePath)
            let isChanged =
                agent.manifestFile.map { !dropIns.record.isUnchanged($0) } ?? false
                || stamp?.digest != (dropIns.launched[agent.name] ?? dropIns.stamps[agent.name]?.digest)
                || dropIns.older.contains(agent.name)
            isAny = isAny || isChanged
            if !isChanged {
                dropIns.changed.remove(agent.name)
            } else if dropIns.changed.insert(agent.name).inserted, !isAiling(agent), !areTaken {
                tell(
                    dropIn: "\(agent.name) has changed on disk; `agentctl reload` takes it over", agent: agent.name)
            }
        }
        return isAny
    }

    // MARK: Taking over

    /// Takes over these entries as they are on the disk now, and nothing else. One that would harm the whole (a second
    /// agent of one name, a way around risk) or whose agent can't work with its settings is left out, and shown with its
    /// reason; the others are taken. Ends the turn.
    private func takeOver(_ entries: Set<String>) {
        // Those that go before those that come: a name may move from one folder to another.
        let going = Set(plan.agents.map(\.entry))
        let order = entries.sorted { (going.contains($0) ? 0 : 1, $0) < (going.contains($1) ? 0 : 1, $1) }
        var answers: [String: DropIns.Answer] = [:]
        for (agent, refusal) in dropIns.refused { answers[agent] = refusal.answer }
        select(DropInSelection(order), nil, answers)
    }

    /// - Parameters:
    ///   - accepted: the last candidate that was good.
    ///   - answers: what agents have said already, so that each is asked once of one thing.
    private func select(
        _ begun: DropInSelection, _ begunAccepted: Candidate?, _ answers: [String: DropIns.Answer]
    ) {
        var selection = begun
        var accepted = begunAccepted
        while let wanted = selection.candidate {
            let next: Candidate
            switch loadChecked(wanted) {
            case .failure(let reason):
                selection.refuse(reason.description)
                continue
            case .success(let loaded): next = loaded
            }
            let faults = faults(comingWith: next.plan)
            guard faults.isEmpty else {
                let reasons = faults.map { ($0.entry, $0.faults.joined(separator: "; ")) }
                selection.refuse(because: Dictionary(reasons, uniquingKeysWith: { "\($0); \($1)" }))
                continue
            }
            let prints = Dictionary(
                next.spec.agents.map { ($0.id.name, $0.launchFingerprint) }, uniquingKeysWith: { first, _ in first })
            let questions = untried(in: next)
            let open = questions.filter { answers[$0.agent]?.fingerprint != prints[$0.agent] }
            if open.isEmpty {
                let refusals = questions.compactMap { question in
                    answers[question.agent].flatMap {
                        $0.problems.isEmpty ? nil : SettingsRefusal(agent: question.agent, problems: $0.problems)
                    }
                }
                if refusals.isEmpty {
                    selection.accept()
                    accepted = next
                } else {
                    selection.refuse(because: note(refusals, prints, in: next.plan))
                }
                continue
            }
            return ask(open) { [unowned self, selection, accepted] refusals in
                var known = answers
                for question in open {
                    let problems = refusals.first { $0.agent == question.agent }?.problems ?? []
                    known[question.agent] = DropIns.Answer(
                        fingerprint: prints[question.agent] ?? 0, problems: problems)
                }
                select(selection, accepted, known)
            }
        }
        conclude(selection, accepted)
        endTurn()
    }

    /// Keeps the agents' words, and says by entry why it is left out.
    private func note(
        _ refusals: [SettingsRefusal], _ prints: [String: UInt64], in plan: Wire.FleetPlan
    ) -> [String: String] {
        var reasons: [String: String] = [:]
        for refusal in refusals {
            guard let entry = plan[refusal.agent]?.entry else { continue }
            reasons[entry] = [reasons[entry], refusal.text].compactMap { $0 }.joined(separator: "; ")
            dropIns.refused[refusal.agent] = DropIns.Refusal(
                entry: entry,
                answer: DropIns.Answer(fingerprint: prints[refusal.agent] ?? 0, problems: refusal.problems))
        }
        return reasons
    }

    private func conclude(_ selection: DropInSelection, _ accepted: Candidate?) {
        for (entry, reason) in selection.reasons.sorted(by: { $0.key < $1.key })
        where dropIns.rejected[entry] != reason {
            tell(dropIn: "\(entry) is not taken: \(reason)", agent: entry)
        }
        dropIns.rejected = selection.reasons
        dropIns.refused = dropIns.refused.filter { selection.reasons[$0.value.entry] != nil }
        guard let accepted else { return }
        guard
            accepted.plan.agents != plan.agents || accepted.stamps != dropIns.stamps
                || !fleet.untried(in: accepted.spec, sparing: accepted.spared).isEmpty
        else {
            dropIns.record = accepted.record
            (plan.overlooked, plan.leftovers) = (accepted.plan.overlooked, accepted.plan.leftovers)
            return keepConfiguration(accepted)
        }
        take(accepted, CommandTable.Pending(verb: "reload", client: nil, requestID: nil, agents: []))
    }

    private struct Reason: Error, CustomStringConvertible {
        let description: String
    }

    private func loadChecked(_ wanted: Set<String>) -> Result<Candidate, Reason> {
        let record = ConfigurationRecord(
            holding: dropIns.record, butFresh: wanted, in: plan.configuration.agentsDirectory)
        // An agent that is removed leaves its entry in supervisor.json behind: that is no reason to keep it running.
        switch Wire.FleetPlan.load(options, from: record, knowing: plan.known) {
        case .failure(let errors): return .failure(Reason(description: errors.errors[0].description))
        case .success(let next):
            if let error = PlanCheck.fleetErrors(next).first { return .failure(Reason(description: error)) }
            let untouched = plan.agents.filter { !wanted.contains($0.entry) }.map(\.name)
            let stamps = ExecutableStamp.all(of: next)
                .merging(dropIns.stamps.filter { untouched.contains($0.key) }) { $1 }
            do {
                return .success(try candidate(next, from: record, stamps, sparing: untouched))
            } catch {
                return .failure(Reason(description: "\(error)"))
            }
        }
    }

    // MARK: Shown

    /// Once for each that is new.
    func tellNotes(since known: [String]) {
        for note in plan.notes where !known.contains(note) { tell(dropIn: note) }
    }

    /// Entries that are no agents because they can't be: `failed`, with the reason. A change of one that is an agent is told in
    /// its own row.
    func rejectedDropIns() -> [AgentStatus] {
        let agents = Set(plan.agents.map(\.entry))
        return dropIns.rejected.filter { !agents.contains($0.key) }.sorted { $0.key < $1.key }.map { entry, reason in
            let name = plan[entry] == nil ? entry : "\(entry) (\(plan.configuration.agentsDirectory)/\(entry))"
            var status = AgentStatus(name: name, role: .utility, state: .failed)
            status.message = "not taken: \(reason)"
            status.failure = .misconfigured
            return status
        }
    }

    /// Why a change of the agent is not taken over.
    func refusedChange(of agent: AgentPlan) -> String? {
        let words = dropIns.refused[agent.name]?.answer.problems.joined(separator: "; ")
        return (words ?? dropIns.rejected[agent.entry]).map { "its change is not taken: \($0)" }
    }

    /// The program that the new process runs.
    func noteLaunch(of agent: AgentRuntime) {
        let stamp = ExecutableStamp(of: agent.plan.executablePath)?.digest
        dropIns.launched[agent.name] = stamp
        dropIns.older.remove(agent.name)
        agent.process?.programStamp = stamp ?? 0
        guard dropIns.changed.contains(agent.name) else { return }
        if agent.plan.manifestFile.map({ dropIns.record.isUnchanged($0) }) ?? true {
            dropIns.changed.remove(agent.name)
        }
    }
}
