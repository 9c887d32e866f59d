import Foundation
import Testing
import Wire

extension EndToEnd {
    /// What is wrong with supervisor.json, or with the whole: told at once, with exit 78, before anything starts.
    @Suite struct BadConfiguration {
        /// One fault, and words that its message must have. Agents A (sends book), B (takes book), Alpha and Venue.
        struct Fault: CustomTestStringConvertible, Sendable {
            var testDescription: String
            var configuration: String
            var agents: [String: String] = [:]
            var words: [String]
            var file = "supervisor.json"
        }

        static let sender = """
            { "executable": "misbehave", "role": "ingest",
              "outputs": { "book": { "type": "BookUpdate", "delivery": "stream" } } }
            """
        static let receiver = """
            { "executable": "misbehave", "role": "information",
              "inputs": { "book": { "type": "BookUpdate", "delivery": "stream", "from": "A.book" },
                          "quotes": { "type": "Quote", "delivery": "stream", "optional": true } } }
            """

        static let faults: [Fault] = [
            Fault(
                testDescription: "a comma too many", configuration: "{ \"runDirectory\": \"run\",\n }",
                words: ["supervisor.json:2:"]),
            Fault(testDescription: "an empty file", configuration: "", words: ["supervisor.json"]),
            Fault(testDescription: "a list", configuration: "[]", words: ["object"]),
            Fault(testDescription: "no UTF-8", configuration: "\u{0}", words: ["supervisor.json:1:"]),
            Fault(
                testDescription: "an unknown key", configuration: #"{ "runDirectroy": "run" }"#,
                words: ["supervisor.json:1:3", "\"runDirectroy\"", "did you mean \"runDirectory\"?"]),
            Fault(
                testDescription: "an unknown key of an agent",
                configuration: #"{ "agents": { "A": { "limits": { "memroy": "1M" } } } }"#,
                words: ["agents.A.limits", "\"memroy\"", "did you mean \"memory\"?"]),
            Fault(
                testDescription: "a size that is none",
                configuration: #"{ "agents": { "A": { "limits": { "memory": "lots" } } } }"#,
                words: ["agents.A.limits.memory", "\"lots\""]),
            Fault(
                testDescription: "settings for an agent that is not there",
                configuration: #"{ "agents": { "C": { "enabled": true } } }"#, words: ["agents.C", "no agent \"C\""]),
            Fault(
                testDescription: "an unknown strategy",
                configuration: #"{ "pipelines": { "main": { "strategy": "one_for_oen" } } }"#,
                words: ["pipelines.main.strategy", "one_for_oen", "one_for_one"]),
            Fault(
                testDescription: "a wire to an input that is not there",
                configuration: #"{ "pipelines": { "main": { "wires": { "B.bok": "A.book" } } } }"#,
                words: ["pipelines.main.wires", "no input \"bok\"", "did you mean \"book\"?"]),
            Fault(
                testDescription: "a wire from an output that is not there",
                configuration: #"{ "pipelines": { "main": { "wires": { "B.book": "A.boook" } } } }"#,
                words: ["pipelines.main.wires", "no output \"boook\"", "did you mean \"book\"?"]),
            Fault(
                testDescription: "a wire from an agent that is not there",
                configuration: #"{ "pipelines": { "main": { "wires": { "B.book": "Z.book" } } } }"#,
                words: ["no agent \"Z\""]),
            Fault(
                testDescription: "a wire between two types",
                configuration: #"{ "pipelines": { "main": { "wires": { "B.quotes": "A.book" } } } }"#,
                words: ["A.book sends BookUpdate", "B.quotes takes Quote", "one type"]),
            Fault(
                testDescription: "a way from alpha to venue without risk",
                configuration: #"{ "pipelines": { "main": { "wires": { "Venue.orders": "Alpha.proposals" } } } }"#,
                agents: [
                    "Alpha": """
                    { "executable": "misbehave", "role": "alpha",
                      "outputs": { "proposals": { "type": "Proposal", "delivery": "queue" } } }
                    """,
                    "Venue": """
                    { "executable": "misbehave", "role": "venue",
                      "inputs": { "orders": { "type": "Proposal", "delivery": "queue" } } }
                    """,
                ], words: ["without a risk approval", "Alpha.proposals → Venue.orders", "role risk"]),
            Fault(
                testDescription: "the same through a sizing agent, by manifests alone", configuration: "{}",
                agents: [
                    "Alpha": """
                    { "executable": "misbehave", "role": "alpha",
                      "outputs": { "proposals": { "type": "Proposal", "delivery": "queue" } } }
                    """,
                    "Sizing": """
                    { "executable": "misbehave", "role": "sizing",
                      "inputs": { "in": { "type": "Proposal", "delivery": "queue", "from": "Alpha.proposals" } },
                      "outputs": { "out": { "type": "SizedProposal", "delivery": "queue" } } }
                    """,
                    "Router": """
                    { "executable": "misbehave", "role": "execution",
                      "inputs": { "in": { "type": "SizedProposal", "delivery": "queue", "from": "Sizing.out" } } }
                    """,
                ], words: ["without a risk approval", "Sizing.out → Router.in", "role risk"], file: "agent.json"),
            Fault(
                testDescription: "an input that mixes a way forward and a way back", configuration: "{}",
                agents: [
                    "Alpha": """
                    { "executable": "misbehave", "role": "alpha",
                      "inputs": { "back": { "type": "Signal", "delivery": "queue", "from": ["Feed.items", "Late.echo"] } },
                      "outputs": { "out": { "type": "Signal", "delivery": "queue" } } }
                    """,
                    "Feed": """
                    { "executable": "misbehave", "role": "ingest",
                      "outputs": { "items": { "type": "Signal", "delivery": "queue" } } }
                    """,
                    "Late": """
                    { "executable": "misbehave", "role": "sizing",
                      "inputs": { "in": { "type": "Signal", "delivery": "queue", "from": "Alpha.out" } },
                      "outputs": { "echo": { "type": "Signal", "delivery": "queue" } } }
                    """,
                ],
                words: ["Alpha.back", "Feed.items on the way forward", "Late.echo on the way back", "second input"]),
            Fault(
                testDescription: "two agents of one name", configuration: "{}",
                agents: ["Other": #"{ "name": "A", "executable": "misbehave" }"#],
                words: ["two agents are called A", "another \"name\""], file: "agent.json"),
            Fault(
                testDescription: "no agents directory", configuration: #"{ "agentsDirectory": "nowhere" }"#,
                words: ["agentsDirectory", "nowhere", "create the folder"]),
            Fault(
                testDescription: "a run directory too deep for sockets",
                configuration: #"{ "runDirectory": "\#(String(repeating: "deep/", count: 20))run" }"#,
                words: ["runDirectory", "107", "set runDirectory"]),
        ]

        @Test("a fault of the whole: one clear message, exit 78, nothing started", arguments: faults)
        func refused(_ fault: Fault) throws {
            try Place.with { place in
                try place.add("A", Self.sender)
                try place.add("B", Self.receiver)
                for (name, manifest) in fault.agents { try place.add(name, manifest) }
                try place.configure(fault.configuration)
                for arguments in [["--check"], []] {
                    let outcome = try Program.run(
                        Programs.supervisor, ["--config", place.configurationFile] + arguments)
                    #expect(outcome.exit == .code(78), "\(outcome)")
                    let lines = outcome.error.split(separator: "\n")
                    let line = lines.first { line in fault.words.allSatisfy { line.contains($0) } }
                    #expect(line != nil, "no line with \(fault.words) in\n\(outcome.error)")
                    #expect(line?.contains(fault.file) == true, "the file is named")
                    #expect(lines.allSatisfy { $0.hasPrefix("supervisor: ") }, "nothing but messages")
                }
                #expect(!FileManager.default.fileExists(atPath: place.run), "nothing was made")
            }
        }

        @Test("every error is told at once")
        func all() throws {
            try Place.with { place in
                try place.add("A", #"{ "executable": "misbehave", "rloe": "ingest" }"#)
                try place.configure(#"{ "runDirectroy": "run", "logs": { "files": 0 } }"#)
                let outcome = try place.supervise("--check")
                #expect(outcome.exit == .code(78))
                for word in ["\"runDirectroy\"", "logs.files", "\"rloe\""] {
                    #expect(outcome.error.contains(word), "\(outcome.error)")
                }
            }
        }

        @Test("what agents read of their settings is checked too, all of it at once, and none of them is started")
        func settings() throws {
            try Place.with { place in
                try place.adopt()
                try place.configure(
                    """
                    { "agents": { "MarketFeed": { "settings": { "seed": -1, "activity": "much", "pase": 1 } },
                                  "PaperVenue": { "settings": { "takerFeeBps": 0.2 } } } }
                    """)
                let outcome = try place.supervise("--check")
                #expect(outcome.exit == .code(78))
                for word in ["'settings.seed'", "'settings.activity'", "'settings.pase'", "'settings.takerFeeBps'"] {
                    #expect(outcome.error.contains(word), "\(outcome.error)")
                }
                // Each where it stands, which is not the agents' own file.
                for place in ["1:53: 'settings.seed'", "1:69: 'settings.activity'", "2:60: 'settings.takerFeeBps'"] {
                    #expect(outcome.error.contains("/supervisor.json:\(place)"), "\(outcome.error)")
                }
                #expect(!outcome.error.contains("agent.json: "))
                #expect(!FileManager.default.fileExists(atPath: place.run), "nothing was made")
            }
        }

        @Test("a mistake that concerns the whole hides none that an agent finds in its settings")
        func settingsBesideOtherMistakes() throws {
            try Place.with { place in
                try place.adopt()
                try place.configure(
                    """
                    { "logs": { "files": 0 }, "agents": { "MarketFeed": { "settings": { "seed": -1 } } },
                      "pipelines": { "main": { "wires": { "NeuralArb.signals": "AlphaScaner.signals" } } } }
                    """)
                let outcome = try place.supervise("--check")
                #expect(outcome.exit == .code(78))
                for word in ["logs.files", "did you mean \"AlphaScanner\"?", "'settings.seed'"] {
                    #expect(outcome.error.contains(word), "\(outcome.error)")
                }
            }
        }

        @Test("a configuration without faults is said to have none, and nothing starts")
        func check() throws {
            try Place.with { place in
                try place.adopt()
                let outcome = try place.supervise("--check")
                #expect(outcome.exit == .code(0), "\(outcome.error)")
                #expect(outcome.output.contains("12 agents"))
                #expect(outcome.output.contains("no errors"))
                #expect(!FileManager.default.fileExists(atPath: place.run))
            }
        }

        @Test("the repository's own configuration has no faults")
        func own() throws {
            let outcome = try Program.run(
                Programs.supervisor, ["--config", "\(Programs.repository)/supervisor.json", "--check"])
            #expect(outcome.exit == .code(0), "\(outcome.error)")
        }

        @Test("no configuration at all")
        func missing() throws {
            try Place.with { place in
                try place.remove("supervisor.json")
                let outcome = try place.supervise()
                #expect(outcome.exit == .code(78))
                #expect(outcome.error.contains(place.configurationFile))
                #expect(outcome.error.contains("--config"))
            }
        }

        @Test("a second supervisor on the same run directory is refused, and the first goes on")
        func second() throws {
            try Place.with { place in
                try place.addFaulty("Well", "well")
                try place.withSupervisor { run in
                    let agent = try run.agent("Well", is: .running)
                    let outcome = try place.supervise()
                    #expect(outcome.exit == .code(1))
                    #expect(outcome.error.contains("in use by another supervisor (pid \(run.pid))"))
                    #expect(outcome.error.contains("runDirectory"))
                    #expect(try run.agent("Well", is: .running).pid == agent.pid)
                    try run.stop()
                }
            }
        }

        @Test(
            "a run directory that can't be used",
            arguments: [
                (#"{ "runDirectory": "supervisor.json" }"#, "not a directory"),
                (#"{ "runDirectory": "/tmp" }"#, "runDirectory"),
                (#"{ "runDirectory": "/proc/none/run" }"#, "/proc/none"),
            ])
        func unusable(_ configuration: String, _ word: String) throws {
            try Place.with { place in
                try place.configure(configuration)
                let outcome = try place.supervise()
                #expect(outcome.exit == .code(1), "\(outcome)")
                #expect(outcome.error.contains(word), "\(outcome.error)")
            }
        }
    }
}
