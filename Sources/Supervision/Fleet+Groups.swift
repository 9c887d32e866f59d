import Wire

/// One member's end and the others (OTP `supervisor`, strategies and escalation).
extension Fleet {
    /// The members that share the fate of `slot`. `rest_for_one` follows the wires: what the fallen agent feeds,
    /// directly or not, holds what came of its outputs. (OTP's "started after" knows no wires; here consumers start first.)
    private func companions(of slot: Int) -> [Int] {
        guard let group = slots[slot].machine.spec.group, !slots[slot].isRemoved else { return [] }
        switch groups[group]?.spec.strategy ?? .oneForOne {
        case .oneForOne: return []
        case .oneForAll: return slots.indices.filter { $0 != slot && isMember($0, of: group) }
        case .restForOne:
            var isFed = [Bool](repeating: false, count: slots.count)
            isFed[slot] = true
            // Slots are in start order, consumers first: backwards, one pass finds everything downstream.
            for other in slots.indices.reversed() where isFed[other] {
                for consumer in slots[other].after { isFed[consumer] = true }
            }
            return slots.indices.filter { $0 != slot && isFed[$0] && isMember($0, of: group) }
        }
    }

    private func isMember(_ slot: Int, of group: GroupID) -> Bool {
        slots[slot].machine.spec.group == group && !slots[slot].isRemoved
    }

    /// A member ended and will come back.
    mutating func fall(of slot: Int, _ turn: inout Turn) {
        guard case .up = phase, let group = slots[slot].machine.spec.group else { return }
        let takesOthers = companions(of: slot).contains { slots[$0].machine.phase.isUp }
        if takesOthers, !isAdmitted(slot, group, at: turn.now), slots[slot].machine.fail(.tooManyGroupRestarts, &turn) {
            escalate(from: slot, &turn)
        } else {
            regroup(around: slot, &turn)
        }
    }

    /// Counts a restart of the group; false, and not counted, when it is one too many.
    private mutating func isAdmitted(_ slot: Int, _ id: GroupID, at now: Instant) -> Bool {
        guard var group = groups[id] else { return true }
        defer { groups[id] = group }
        guard group.restarts.admit(group.spec.intensity, at: now) else { return false }
        slots[slot].groupRestartTimes.append(now)
        let oldest = group.restarts.times.first ?? now
        slots[slot].groupRestartTimes.removeAll { $0 < oldest }
        return true
    }

    private mutating func regroup(around slot: Int, _ turn: inout Turn) {
        var isAlone = true
        for other in companions(of: slot) where slots[other].machine.orderRejoin(&turn) {
            if slots[other].regroup == .none { slots[other].regroup = .member }
            turn.effects.append(.remember(slots[other].machine.spec.id))
            isAlone = false
        }
        if !isAlone || slots[slot].regroup != .none { slots[slot].regroup = .fallen }
    }

    mutating func escalate(from slot: Int, _ turn: inout Turn) {
        guard case .up = phase, let group = slots[slot].machine.spec.group, !slots[slot].isRemoved else { return }
        let culprit = slots[slot].machine.spec.id
        var stopped: [AgentID] = []
        for other in companions(of: slot)
        where slots[other].machine.orderStop(.escalation, stay: .escalation(culprit: culprit), &turn) {
            stopped.append(slots[other].machine.spec.id)
            turn.effects.append(.remember(slots[other].machine.spec.id))
            slots[other].regroup = .member
        }
        // Should it be started at once again, it waits until they are down.
        if !stopped.isEmpty { slots[slot].regroup = .fallen }
        turn.effects.append(.escalated(group, culprit: culprit, stopped: stopped))
    }

    /// A group's restart is over when all that take part are down and no fallen one is still in back-off. Then all
    /// start in order, the fallen ones among them.
    func isRegroupOver(_ group: GroupID) -> Bool {
        slots.allSatisfy { slot in
            guard slot.regroup != .none, slot.machine.spec.group == group else { return true }
            if case .backoff = slot.machine.phase, slot.regroup == .fallen { return false }
            return slot.machine.phase.isDown
        }
    }

    mutating func endRegroups(_ turn: inout Turn) {
        guard slots.contains(where: { $0.regroup != .none }) else { return }
        for group in Set(slots.lazy.filter { $0.regroup != .none }.compactMap(\.machine.spec.group))
        where isRegroupOver(group) {
            for slot in slots.indices where slots[slot].machine.spec.group == group {
                guard slots[slot].regroup != .none else { continue }
                slots[slot].regroup = .none
                slots[slot].machine.joinOrderedStart()
            }
        }
    }

    /// Members that an escalation took down come back with the culprit.
    mutating func revive(_ turn: inout Turn) {
        guard case .up = phase else { return }
        for slot in slots.indices {
            guard case .stopped(.escalation(let culprit)) = slots[slot].machine.phase else { continue }
            if isBack(culprit) { slots[slot].machine.comeUp(.groupRestart, &turn) }
        }
    }

    private func isBack(_ culprit: AgentID) -> Bool {
        guard let slot = index[culprit], !slots[slot].isRemoved else { return true }
        switch slots[slot].machine.phase {
        case .waiting, .starting, .running, .backoff: return true
        case .stopping(let stopping): return stopping.departure.sequel.comesBack
        case .stopped, .clearing, .failed, .stuck, .done: return false
        }
    }
}

extension AgentMachine {
    /// A restart that would have waited for nobody becomes part of the group's ordered start.
    mutating func joinOrderedStart() {
        guard case .waiting(.restart) = phase else { return }
        amend(.waiting(.groupRestart))
    }
}
