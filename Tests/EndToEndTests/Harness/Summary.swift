import Foundation
import Testing

/// `summary.json` as a reader of another program would see it: every field that must be there.
struct Summary: Decodable {
    struct Latency: Decodable {
        var count: Int
        var p50Ns: Int
        var p99Ns: Int
        var maxNs: Int
    }

    struct Wire: Decodable {
        var wire: String
        var delivery: String
        var messages: Int
        var lost: Int
        var duplicates: Int
        var hop: Latency
    }

    struct Counts: Decodable {
        var total: Int
        var by: [String: Int]
    }

    struct Holding: Decodable {
        var symbol: String
        var position: String
    }

    struct Money: Decodable {
        var realised: String
        var unrealised: String
        var fees: String
        var afterFees: String
    }

    struct EndToEnd: Decodable {
        var pipeline: String
        var latency: Latency
    }

    struct Agent: Decodable {
        var name: String
        var restarts: Int
    }

    var wires: [Wire]
    var signals: [String: Int]
    var proposals: Counts
    var decisions: Counts
    var reasons: [String: Int]
    var orders: Counts
    var fills: Int
    var positions: [Holding]
    var pnl: Money
    var endToEnd: [EndToEnd]
    var agents: [Agent]
    var notes: [String]

    static func read(_ place: Place) throws -> Summary {
        try JSONDecoder().decode(Summary.self, from: Data(place.text("run/summary.json").utf8))
    }

    var queues: [Wire] { wires.filter { $0.delivery != "stream" } }
}
