import Wire

/// An input that some wires reach on the way forward and others on the way back.
///
/// An agent stops reading its forward inputs while its outputs are full, so that queues push back; it reads its feedback
/// inputs even then, so that two agents that wait for each other do not wait for ever. One input is one socket and can
/// only do one of the two. A stream may drop and needs neither.
public struct MixedInput: Hashable, Sendable, CustomStringConvertible {
    public var input: PortID
    public var feedback: [PortID]
    public var forward: [PortID]

    public var description: String {
        func list(_ ports: [PortID]) -> String { ports.map(\.description).joined(separator: ", ") }
        return "\(input) receives from \(list(forward)) on the way forward and from \(list(feedback)) on the way back, "
            + "and one input can't both push back and not; give \(input.agent) a second input for \(list(feedback))"
    }

    /// All of a graph, by input.
    static func all(in graph: Graph, feedback: Set<Graph.Edge>) -> [MixedInput] {
        let queues = Dictionary(grouping: graph.edges.filter { $0.delivery != .stream }, by: \.target)
        return queues.sorted { $0.key < $1.key }.compactMap { input, edges in
            let back = edges.filter { feedback.contains($0) }.map(\.source).sorted()
            let forward = edges.filter { !feedback.contains($0) }.map(\.source).sorted()
            return back.isEmpty || forward.isEmpty ? nil : MixedInput(input: input, feedback: back, forward: forward)
        }
    }
}
