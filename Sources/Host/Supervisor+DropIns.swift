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
            if !settled.isEmpty { look(at: settled) }
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

    private func look(at settled: DropInWatch.Settled) {
        let directory = plan.configuration.agentsDirectory
        let present: Set<String>
        do throws(ConfigurationSourceError) {
            let entries = try HostConfigurationSource().entries(ofDirectory: directory)
            present = Set(entries.map(\.name).filter { !TemporaryNames.contains($0) })
        } catch {
            // Not a reason to stop anybody: the directory may be on its way back.
            return tell(dropIn: "\(directory) can't be read, nothing is changed: \(error)")
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
                fresh.insert(entry)
                continue
            }
            let isChanged = noteChanges(of: agents)
            if agents.contains(where: isAiling) || (isChanged && plan.configuration.watch.restartsChanged) {
                fresh.insert(entry)
            }
        }
        dropIns.rejected = dropIns.rejected.filter { present.contains($0.key) }
        guard !fresh.isEmpty else { return }
        // What was in the way of a rejected one may be gone now.
        takeOver(fresh.union(dropIns.rejected.keys))
    }

    /// Notes whether these agents would be others if they were started from the disk.
    private func noteChanges(of agents: [AgentPlan]) -> Bool {
        var isAny = false
        for agent in agents {
            let stamp = ExecutableStamp(of: agent.executablePath)
            let isChanged =
                agent.manifestFile.map { !dropIns.record.isUnchanged($0) } ?? false
                || stamp != (dropIns.launched[agent.name] ?? dropIns.stamps[agent.name])
            isAny = isAny || isChanged
            if !isChanged {
                dropIns.changed.remove(agent.name)
            } else if dropIns.changed.insert(agent.name).inserted, !isAiling(agent),
                !plan.configuration.watch.restartsChanged
            {
                tell(
                    dropIn: "\(agent.name) has changed on disk; `agentctl reload` takes it over", agent: agent.name)
            }
        }
        return isAny
    }

    // MARK: Taking over

    /// Takes over these entries as they are on the disk now, and nothing else. One that would harm the whole (a second
    /// agent of one name, a way around risk) is left out, and shown with its reason; the others are taken.
    private func takeOver(_ entries: Set<String>) {
        var accepted: (plan: Wire.FleetPlan, record: ConfigurationRecord)?
        var taken: Set<String> = []
        var reasons: [String: String] = [:]
        func attempt(_ names: ArraySlice<String>) {
            let wanted = taken.union(names)
            let record = ConfigurationRecord(
                holding: dropIns.record, butFresh: wanted, in: plan.configuration.agentsDirectory)
            switch loadChecked(record) {
            case .success(let next):
                accepted = (next, record)
                taken = wanted
                for name in names { reasons[name] = nil }
            case .failure(let reason) where names.count == 1: reasons[names.first ?? ""] = reason.description
            case .failure:
                let middle = names.startIndex + names.count / 2
                attempt(names[..<middle])
                attempt(names[middle...])
            }
        }
        // Those that go before those that come: a name may move from one folder to another.
        let going = Set(plan.agents.map(\.entry))
        let order = entries.sorted { (going.contains($0) ? 0 : 1, $0) < (going.contains($1) ? 0 : 1, $1) }
        attempt(order[...])
        for (entry, reason) in reasons.sorted(by: { $0.key < $1.key }) where dropIns.rejected[entry] != reason {
            tell(dropIn: "\(entry) is not taken: \(reason)", agent: entry)
        }
        dropIns.rejected = reasons
        guard let accepted else { return }
        let untouched = plan.agents.filter { !taken.contains($0.entry) }.map(\.name)
        let stamps = ExecutableStamp.all(of: accepted.plan)
            .merging(dropIns.stamps.filter { untouched.contains($0.key) }) { $1 }
        guard accepted.plan.agents != plan.agents || stamps != dropIns.stamps else {
            dropIns.record = accepted.record
            return
        }
        let request = CommandTable.Pending(verb: "reload", client: nil, requestID: nil, agents: [])
        take(accepted.plan, from: accepted.record, stamps, request)
    }

    private struct Reason: Error, CustomStringConvertible {
        let description: String
    }

    private func loadChecked(_ record: ConfigurationRecord) -> Result<Wire.FleetPlan, Reason> {
        switch Wire.FleetPlan.load(options, from: record) {
        case .failure(let errors): return .failure(Reason(description: errors.errors[0].description))
        case .success(let next):
            if let error = PlanCheck.fleetErrors(next).first { return .failure(Reason(description: error)) }
            return .success(next)
        }
    }

    // MARK: Shown

    /// Entries that are no agents because they can't be: `failed`, with the reason.
    func rejectedDropIns() -> [AgentStatus] {
        dropIns.rejected.sorted { $0.key < $1.key }.map { entry, reason in
            let name = plan[entry] == nil ? entry : "\(entry) (\(plan.configuration.agentsDirectory)/\(entry))"
            var status = AgentStatus(name: name, role: .utility, state: .failed)
            status.message = "not taken: \(reason)"
            return status
        }
    }

    /// The program that the new process runs.
    func noteLaunch(of agent: AgentRuntime) {
        dropIns.launched[agent.name] = ExecutableStamp(of: agent.plan.executablePath)
        guard dropIns.changed.contains(agent.name) else { return }
        if agent.plan.manifestFile.map({ dropIns.record.isUnchanged($0) }) ?? true {
            dropIns.changed.remove(agent.name)
        }
    }
}
