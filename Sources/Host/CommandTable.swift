import Foundation
import Supervision
import Wire

/// Operators' requests that wait for the fleet's answers. One request may name several agents.
struct CommandTable {
    /// One request on its way.
    final class Pending {
        let verb: String
        let client: ControlClient?
        let requestID: RequestID?
        /// Agents in the order they were named.
        let agents: [String]
        /// Others who asked for the same, and get the same answer.
        var companions: [Pending] = []
        var waiting: Int
        var failures: [String] = []

        init(verb: String, client: ControlClient?, requestID: RequestID?, agents: [String]) {
            self.verb = verb
            self.client = client
            self.requestID = requestID
            self.agents = agents
            waiting = Swift.max(1, agents.count)
        }

        func answer(_ report: CommandReport) {
            for asker in [self] + companions { asker.client?.answer(asker.requestID, report) }
        }

        func refuse(_ error: ControlError) {
            for asker in [self] + companions { asker.client?.refuse(asker.requestID, error) }
        }
    }

    private var next: UInt64 = 1
    private var pending: [CommandID: (request: Pending, agent: String?)] = [:]

    /// A number for one agent's part of a request.
    mutating func register(_ request: Pending, agent: String?) -> CommandID {
        let id = CommandID(next)
        next += 1
        pending[id] = (request, agent)
        return id
    }

    mutating func take(_ id: CommandID) -> (request: Pending, agent: String?)? { pending.removeValue(forKey: id) }
}

/// Who follows what.
struct Subscriptions {
    private var events: [UInt64: ControlClient] = [:]
    private var logs: [String: [UInt64: ControlClient]] = [:]

    var eventFollowers: [ControlClient] { events.isEmpty ? [] : Array(events.values) }
    func followers(ofLog agent: String) -> [ControlClient] { logs[agent].map { Array($0.values) } ?? [] }

    mutating func followEvents(_ client: ControlClient) { events[client.id] = client }
    mutating func followLog(_ agent: String, _ client: ControlClient) { logs[agent, default: [:]][client.id] = client }

    mutating func remove(_ client: ControlClient) {
        events[client.id] = nil
        for agent in logs.keys { logs[agent]?[client.id] = nil }
    }
}
