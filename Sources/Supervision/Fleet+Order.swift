import Wire

/// Who may start, who may stop, and what is over: looked at after every step in which some agent changed its state.
extension Fleet {
    mutating func settle(_ turn: inout Turn) {
        endRegroups(&turn)
        revive(&turn)
        for slot in slots.indices.reversed() where mayStop(slot) {
            slots[slot].machine.takeTurnToStop(&turn)
        }
        for slot in slots.indices {
            if mayStart(slot) { slots[slot].machine.launch(&turn) }
        }
        for slot in slots.indices { slots[slot].machine.tellWaiting(&turn) }
        forgetRemoved(&turn)
        endShutdown(&turn)
    }

    private func mayStop(_ slot: Int) -> Bool {
        guard case .running(let running) = slots[slot].machine.phase, running.due != nil else { return false }
        return slots[slot].before.allSatisfy { other in
            let phase = slots[other].machine.phase
            return phase.isDown || !phase.isLeaving
        }
    }

    private func mayStart(_ slot: Int) -> Bool {
        guard case .waiting(let origin) = slots[slot].machine.phase, case .up = phase else { return false }
        guard slots[slot].regroup == .none else { return false }
        return !origin.waitsForOthers || slots[slot].after.allSatisfy { !slots[$0].machine.phase.holdsOthers }
    }

    private mutating func forgetRemoved(_ turn: inout Turn) {
        for slot in slots.indices.reversed() where slots[slot].isRemoved && !slots[slot].machine.phase.hasTree {
            var machine = slots.remove(at: slot).machine
            machine.arm(&turn)
            let id = machine.spec.id
            // All is forgotten but the epoch.
            retired[id] = AgentMemory(id: id, lastIncarnation: machine.lastIncarnation)
            turn.effects.append(.forgotten(id))
            // Removed slots are the last ones; only others of them refer to them, beside the index.
            index[id] = nil
            for later in slot..<slots.count { index[slots[later].machine.spec.id] = later }
            for other in slots.indices where slots[other].isRemoved {
                slots[other].after = Self.without(slot, slots[other].after)
                slots[other].before = Self.without(slot, slots[other].before)
            }
        }
    }

    /// References as they are when one slot has gone.
    private static func without(_ gone: Int, _ references: [Int]) -> [Int] {
        references.compactMap { $0 == gone ? nil : $0 > gone ? $0 - 1 : $0 }
    }

    private mutating func endShutdown(_ turn: inout Turn) {
        guard case .stopping(let commands) = phase else { return }
        guard slots.allSatisfy({ $0.machine.phase.isDown }) else { return }
        phase = .stopped
        let survivors = slots.filter(\.machine.phase.hasTree).map(\.machine.spec.id)
        for slot in slots.indices { slots[slot].machine.arm(&turn) }
        for command in commands { turn.effects.append(.reply(command, .done)) }
        turn.effects.append(.fleetStopped(survivors: survivors))
    }
}
