import Foundation
import Testing
import Wire

extension EndToEnd {
    /// Every agent as another user than the supervisor: what they share is only what they were let in to.
    @Suite struct OtherUser {
        /// Whom every Debian has; nil when it can't come to the built programs.
        private static var user: String? {
            guard geteuid() == 0, getpwnam("nobody") != nil else { return nil }
            var folder = Programs.directory
            while folder != "/" {
                var info = stat()
                guard stat(folder, &info) == 0, info.st_mode & 0o001 != 0 else { return nil }
                folder = (folder as NSString).deletingLastPathComponent
            }
            return "nobody"
        }

        @Test(
            "a whole fleet as another user trades a market to its end",
            .enabled(if: user != nil, "needs root, and programs that anybody can reach"))
        func wholeLoop() throws {
            try Place.with { place in
                chmod(place.path, 0o755)
                try place.adopt()
                let names = try FileManager.default.contentsOfDirectory(atPath: place.agents)
                let user = try #require(Self.user)
                var settings: [String: [String: Any]] = [
                    "NeuralArb": [
                        "cooldownMs": 10, "validMs": 100, "feeBps": 0, "thresholdBps": 0.01, "weight.order_flow": 0.5,
                    ],
                    "MarketFeed": ["events": 12_000, "pace": "20x", "seed": 7],
                    "TextFeed": ["file": "../../texts.jsonl", "pace": "max"], "VolumeFeed": ["pace": "max"],
                ]
                var agents: [String: Any] = [:]
                for name in names {
                    agents[name] = [
                        "sandbox": ["user": user], "settings": settings.removeValue(forKey: name) ?? [:],
                    ]
                }
                try place.write("supervisor.json", try JSONSerialization.data(withJSONObject: ["agents": agents]))
                try place.write("texts.jsonl", WholeLoop.texts)
                let outcome = try place.withSupervisor("--until-idle") { run in
                    let first = try run.agent("PaperVenue", is: .running)
                    let mine = first.limits.first { $0.resource == "user" }
                    #expect(mine?.enforced == user, "\(first.limits)")
                    return try run.finish(within: 300)
                }
                try #require(outcome.exit == .code(0), "\(outcome.output)\n\(outcome.error)")
                let summary = try Summary.read(place)
                WholeLoop.expectOrderly(summary, outcome.output)
                #expect(summary.orders.total > 0 && summary.fills > 0)
                try OrderPath(place).expectKept()
            }
        }
    }
}
