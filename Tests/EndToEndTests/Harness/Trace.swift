import Foundation
import Testing

/// What `agentctl trace --json` prints.
struct Trace: Decodable {
    struct Hop: Decodable {
        var step: String
        var agent: String?
        var sinceOriginNs: Int
    }

    var trace: String
    var complete: Bool
    var fills: Int
    var path: [Int]
    var hops: [Hop]

    /// Steps on the way to the fill.
    var steps: [String] { path.map { hops[$0].step } }

    static func last(_ place: Place) throws -> Trace {
        let outcome = try place.agentctl(["trace", "--last", "--json"])
        try #require(outcome.exit == .code(0), "\(outcome.error)")
        return try JSONDecoder().decode(Trace.self, from: Data(outcome.output.utf8))
    }

    /// One market event, and what each agent made of it in turn, to the fill.
    func expectWholeLoop() {
        #expect(complete)
        #expect(fills > 0)
        #expect(["book", "quote", "trade"].contains(steps.first ?? ""), "\(steps)")
        var rest = steps[...]
        // What set the proposal off is a signal, or a quote in the light of signals before it.
        for step in ["proposal", "sizing", "decision", "order", "fill"] {
            let index = rest.firstIndex(of: step)
            #expect(index != nil, "no \(step) in \(steps)")
            if let index { rest = rest[(index + 1)...] }
        }
        let times = path.map { hops[$0].sinceOriginNs }
        #expect(times == times.sorted(), "time runs forward along the path: \(times)")
    }
}
