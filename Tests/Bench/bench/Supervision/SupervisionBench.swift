import Foundation

/// One thing that is measured, of each peer that has it.
protocol SupervisionPart {
    /// Names it on the command line.
    static var word: String { get }
    init(programs: String)
    /// Nothing when the peer can't do this at all.
    func measure(_ peer: any Peer) throws -> [Figure]
}

/// This supervisor beside Debian's, on the same agent, in one run.
///
/// `bench supervision [PART…] [PEER…]`: without words all of both.
struct SupervisionBench {
    static var parts: [any SupervisionPart.Type] {
        [
            RestartPart.self, StormPart.self, IdlePart.self, CrashLoopPart.self, ForkBombPart.self, HangPart.self,
            AdoptionPart.self,
        ]
    }

    let programs: String
    let parts: [any SupervisionPart]
    let peers: [any Peer]

    /// - Parameter words: names of parts and of peers.
    init(programs: String, words: [String]) throws {
        self.programs = programs
        let all: [any Peer] = [QuantPype(programs: programs), Runit(), S6(), Supervisord()]
        let known = Self.parts.map { $0.word } + all.map(\.name)
        if let stranger = words.first(where: { !known.contains($0) }) {
            throw BenchError(description: "\(stranger) is not one of \(known.joined(separator: ", "))")
        }
        let wantedParts = Self.parts.filter { words.contains($0.word) }
        parts = (wantedParts.isEmpty ? Self.parts : wantedParts).map { $0.init(programs: programs) }
        let wantedPeers = all.filter { words.contains($0.name) }
        peers = (wantedPeers.isEmpty ? all : wantedPeers).filter(\.isInstalled)
    }

    func table() throws -> SupervisionTable {
        var table = SupervisionTable()
        for part in parts {
            // In turn, so that a machine that becomes slower or faster does so for all.
            for peer in peers {
                let figures = try part.measure(peer)
                for figure in figures { Self.say("\(peer.name): \(figure.title): \(figure.value)") }
                table.add(figures, of: peer.name)
            }
        }
        return table
    }

    /// To standard error, while it goes on: all of it takes minutes.
    private static func say(_ line: String) {
        FileHandle.standardError.write(Data((line + "\n").utf8))
    }

    static func pause(_ seconds: Double) {
        usleep(useconds_t(seconds * 1e6))
    }
}
