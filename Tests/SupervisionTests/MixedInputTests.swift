import Testing
import Wire

@testable import Supervision

@Suite struct MixedInputTests {
    private func edge(_ source: String, _ target: String, _ delivery: Delivery) throws -> Graph.Edge {
        Graph.Edge(
            source: try #require(PortID(source)), target: try #require(PortID(target)), type: "Signal",
            delivery: delivery)
    }

    @Test func oneInputIsEitherForwardOrFeedback() throws {
        let forward = try edge("Feed.items", "Risk.in", .queue)
        let back = try edge("Venue.reports", "Risk.in", .queue)
        let graph = Graph(agents: [], edges: [forward, back])
        let mixed = MixedInput.all(in: graph, feedback: [back])
        #expect(mixed.map(\.input.description) == ["Risk.in"])
        #expect(
            mixed.first?.description
                == "Risk.in receives from Feed.items on the way forward and from Venue.reports on the way back, and one "
                + "input can't both push back and not; give Risk a second input for Venue.reports")
        #expect(MixedInput.all(in: graph, feedback: []).isEmpty)
        #expect(MixedInput.all(in: graph, feedback: [forward, back]).isEmpty)
        #expect(MixedInput.all(in: Graph(agents: [], edges: [forward]), feedback: [back]).isEmpty)
    }

    @Test func aStreamMayMix() throws {
        let back = try edge("Venue.reports", "Risk.in", .stream)
        let graph = Graph(agents: [], edges: [try edge("Feed.items", "Risk.in", .stream), back])
        #expect(MixedInput.all(in: graph, feedback: [back]).isEmpty)
    }
}
