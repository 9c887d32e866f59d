import Wire

@testable import Supervision

extension FleetSimulator {
    /// The command id of a saboteur.
    static let saboteur = UInt64.max

    /// The event as a defective fleet would take it; nil: not at all.
    func tampered(_ event: FleetEvent) -> FleetEvent? {
        switch (sabotage, event) {
        case (.believesStaleEvents, .exited(let id, _, let report)):
            return .exited(id, fleet.view(of: id)?.incarnation ?? .none, report)
        case (.believesStaleEvents, .treeEmpty(let id, _)):
            return .treeEmpty(id, fleet.view(of: id)?.incarnation ?? .none)
        case (
            .ignoresRejections,
            .exited(let id, let incarnation, ExitReport(.exited(code: ExitReport.configurationExit)))
        ):
            return .exited(id, incarnation, ExitReport(.exited(code: 1)))
        case (.deafToSignsOfLife, .alive): return nil
        default: return event
        }
    }

    func tamper(after event: FleetEvent) {
        switch sabotage {
        case .believesTreeEmpty:
            if case .exited(let id, let incarnation, _) = event { meddle(.treeEmpty(id, incarnation)) }
        case .restartsAfterStop:
            for case .transition(let transition) in effects where transition.to == .stopped {
                meddle(.start(CommandID(Self.saboteur), transition.id))
            }
        case .swallowsReplies: drop { if case .reply = $0 { true } else { false } }
        case .swallowsReports: drop { if case .ended = $0 { true } else { false } }
        case .neverKills: drop { if case .killTree = $0 { true } else { false } }
        case .neverArms: drop { if case .arm = $0 { true } else { false } }
        case .staysSilentAtTheEnd: drop { if case .fleetStopped = $0 { true } else { false } }
        case .repliesTwice: double { if case .reply = $0 { true } else { false } }
        case .reportsTwice: double { if case .ended = $0 { true } else { false } }
        case .stopsTwice: double { if case .fleetStopped = $0 { true } else { false } }
        case .reusesIncarnations:
            for (position, effect) in effects.enumerated() {
                if case .spawn(let id, _) = effect { effects[position] = .spawn(id, Incarnation(1)) }
            }
        case .waitsTooLong:
            for (position, effect) in effects.enumerated() {
                guard case .transition(var transition) = effect, let next = transition.nextStart else { continue }
                transition.nextStart = next + .seconds(10)
                effects[position] = .transition(transition)
            }
        case nil, .believesStaleEvents, .deafToSignsOfLife, .ignoresGroups, .ignoresStartOrder,
            .neverGivesUpCrashLoops, .ignoresRejections:
            break
        }
    }

    private func meddle(_ event: FleetEvent) {
        fleet.handle(event, at: Instant(nanoseconds: now), jitter: 0, into: &effects)
    }

    private func drop(_ isMeant: (FleetEffect) -> Bool) {
        effects.removeAll(where: isMeant)
    }

    private func double(_ isMeant: (FleetEffect) -> Bool) {
        effects += effects.filter(isMeant)
    }
}
