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

    /// What `agentctl trace --json` lists.
    private struct Listed: Decodable {
        var trace: String
    }

    private static func read<Value: Decodable>(_ arguments: [String], _ place: Place) throws -> Value {
        let outcome = try place.agentctl(["trace", "--json"] + arguments)
        try #require(outcome.exit == .code(0), "\(outcome.error)")
        return try JSONDecoder().decode(Value.self, from: Data(outcome.output.utf8))
    }

    /// From one market event, through what each agent made of it in turn, to the fill: at least one such way is on
    /// record, and every way that is called complete begins with its market event and leads to a fill.
    static func expectWholeLoop(_ place: Place) throws {
        let last: Trace = try read(["--last"], place)
        #expect(last.complete && last.fills > 0, "\(last)")
        let listed: [Listed] = try read([], place)
        var whole = 0
        for name in Set(listed.map(\.trace)) {
            let trace: Trace = try read([name], place)
            #expect(trace.fills > 0)
            let times = trace.path.map { trace.hops[$0].sinceOriginNs }
            #expect(times == times.sorted(), "time runs forward along the path: \(times)")
            guard trace.complete else { continue }
            #expect(["book", "quote", "trade"].contains(trace.steps.first ?? ""), "\(trace.steps)")
            if trace.isWholeLoop { whole += 1 }
        }
        #expect(whole > 0, "no whole loop among \(listed.count) fills")
    }

    /// What set the proposal off is a signal, or a quote in the light of signals before it.
    private var isWholeLoop: Bool {
        var rest = steps[...]
        for step in ["proposal", "sizing", "decision", "order", "fill"] {
            guard let index = rest.firstIndex(of: step) else { return false }
            rest = rest[(index + 1)...]
        }
        return true
    }
}
