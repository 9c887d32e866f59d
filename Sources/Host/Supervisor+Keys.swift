import Authority
import CLinux
import Foundation
import Wire

extension AgentRole {
    /// Who signs decisions and who checks them.
    var holdsKeys: Bool { self == .risk || self == .venue }
}

/// Keys: made here, and handed to those two roles alone, as a descriptor that can only be read.
extension Supervisor {
    /// Readies a launch of an agent that holds keys: a new key begins with it, and what is signed from now on is signed
    /// with that; orders in flight stay good for a while. Nothing for all other agents.
    func handKeys(to agent: AgentRuntime, _ request: inout LaunchRequest, _ inherited: inout [Int32]) {
        guard agent.plan.manifest.role.holdsKeys else { return }
        if case .deferred(let until) = keyring.rotate(at: EventLoop.now()) {
            let seconds = Int((until - EventLoop.now()).seconds.rounded(.up))
            record(
                kind: "keys", agent: agent.name,
                message: "key \(keyring.currentKeyID) signs on: too many replaced ones must still verify; "
                    + "the next may be made in \(seconds) s")
        }
        request.environment["QP_KEYS_FD"] = String(Int(Wiring.firstListenerDescriptor) + inherited.count)
        inherited.append(keyring.readOnlyDescriptor)
        // A core dump would hold the keys.
        if agent.plan.manifest.limits.core == nil {
            request.resourceLimits.append(.init(resource: Int32(RLIMIT_CORE.rawValue), soft: 0, hard: 0))
        }
    }
}
