import CLinux
import Foundation
import Supervision
import Wire

/// `onSupervisorLoss: stop`: the keeper gives the stop signal, and SIGKILL after the agent's own time (`Keeper.h`). Agents on
/// AgentKit stop by themselves as well, when their link ends. Who was told is ended as ordered, not as if it had crashed.
extension Supervisor {
    static func orphanSignal(_ manifest: Manifest) -> Int32 {
        manifest.onSupervisorLoss == .stop ? manifest.stop.signal.number : 0
    }

    /// 0 would be never.
    static func orphanGraceMs(_ manifest: Manifest) -> UInt32 {
        manifest.onSupervisorLoss == .stop ? UInt32(clamping: max(1, manifest.stop.timeoutMs)) : 0
    }

    func wasTold(_ id: AgentID, _ life: Inheritance.Life, _ keepsakes: Keepsakes) -> Bool {
        keepsakes.kept[id.name].map { $0.wasTold && $0.incarnation == life.record.incarnation } ?? false
    }

    /// The keeper ends with the take-over: what it has begun with a living agent is brought to its end here.
    func finishLoss(of id: AgentID, _ life: Inheritance.Life, _ keepsakes: Keepsakes) {
        guard wasTold(id, life, keepsakes), let agent = agents[id], let pid = agent.process?.pid else { return }
        let incarnation = agent.process?.incarnation
        agent.process?.wasToldOfLoss = true
        loop.schedule(afterMs: Int64(Self.orphanGraceMs(agent.plan.manifest))) { [weak self, weak agent] in
            guard let self, let agent, agent.process?.incarnation == incarnation, agent.process?.pid == pid else {
                return
            }
            exits.signal(pid, SIGKILL)
        }
    }
}
