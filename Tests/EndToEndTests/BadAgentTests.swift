import Foundation
import Testing
import Wire

extension EndToEnd {
    /// What is wrong with one agent: its failure in `status`, with the reason, while the rest runs.
    @Suite struct BadAgents {
        /// Words that the agent's message in `status` must have. `isFoundAtOnce`: `--check` sees it too.
        struct Expectation {
            var agent: String
            var words: [String]
            var isFoundAtOnce = true
        }

        static let expectations = [
            Expectation(agent: "Malformed", words: ["agents/Malformed/agent.json:1:"]),
            Expectation(agent: "Empty", words: ["agents/Empty/agent.json"]),
            Expectation(
                agent: "Misspelt", words: ["agents/Misspelt/agent.json:1:", "\"watchdogSecs\"", "watchdogSeconds"]),
            Expectation(agent: "Typeless", words: ["inputs.book", "\"BookUpdat\"", "did you mean \"BookUpdate\"?"]),
            Expectation(agent: "Portless", words: ["inputs.book", "no output \"bok\"", "did you mean \"book\"?"]),
            Expectation(agent: "Mistyped", words: ["inputs.quotes", "Well.book sends BookUpdate", "takes Quote"]),
            Expectation(agent: "Sourceless", words: ["inputs.book", "no source"]),
            Expectation(agent: "Missing", words: ["executable", "there is no program", "Missing/nowhere", "build it"]),
            Expectation(agent: "Forbidden", words: ["executable", "may not be executed", "chmod +x"]),
            Expectation(agent: "plain.sh", words: ["may not be executed", "chmod +x"]),
            Expectation(agent: "Foreign", words: ["ARM64", "built for this machine"]),
            Expectation(agent: "Garbage", words: ["Garbage/garbage", "neither a program"], isFoundAtOnce: false),
            Expectation(agent: "Uninterpreted", words: ["/no/such/shell", "install"], isFoundAtOnce: false),
        ]

        @Test("each fault is that agent's alone")
        func faults() throws {
            try Place.with { place in
                try Self.write(to: place)
                try Self.expectCheckToTell(place)
                try place.withSupervisor { run in
                    let failed = Dictionary(
                        Self.expectations.map { ($0.agent, AgentState.failed) }, uniquingKeysWith: { first, _ in first }
                    )
                    let report = try run.settled(except: failed)
                    for expectation in Self.expectations {
                        let agent = try #require(report.agents.first { $0.name == expectation.agent })
                        #expect(agent.pid == nil, "\(agent.name)")
                        for word in expectation.words {
                            #expect(agent.message?.contains(word) == true, "\(agent.name): \(agent.message ?? "-")")
                        }
                        let start = try run.ctl("start", agent.name)
                        #expect(start.exit == .code(1), "\(agent.name)")
                        #expect(start.error.contains(expectation.words[0]), "\(start.error)")
                        let why = try run.ctl("why", agent.name)
                        #expect(why.exit == .code(0) && !why.output.contains("has not ended"), "\(why)")
                        #expect(why.output.contains(expectation.words[0]), "\(why.output)")
                        let next = expectation.isFoundAtOnce ? "\nNext: " : "`agentctl start "
                        #expect(why.output.contains(next), "\(why.output)")
                    }
                    #expect(try run.agent("Well", is: .running).incarnation == 1)

                    // Mended, it runs after a reload.
                    chmod("\(place.agents)/plain.sh", 0o755)
                    #expect(try run.ctl("reload").exit == .code(0))
                    try run.agent("plain.sh", is: .running)
                    #expect(try run.stop().exit == .code(0))
                }
            }
        }

        @Test("why says of one that was given up, or refuses its configuration, what holds and what is next")
        func givenUp() throws {
            try Place.with { place in
                let restart = #""restart": { "initialMs": 1, "intensity": { "restarts": 1, "windowSeconds": 60 } }"#
                try place.add("GivenUp", #"{ "executable": "main.sh", \#(restart) }"#)
                try place.write("agents/GivenUp/main.sh", "#!/bin/sh\nexit 3\n", mode: 0o755)
                try place.add("Refusing", #"{ "executable": "main.sh" }"#)
                try place.write("agents/Refusing/main.sh", "#!/bin/sh\nexit 78\n", mode: 0o755)
                try place.withSupervisor { run in
                    try run.settled(except: ["GivenUp": .failed, "Refusing": .failed])
                    try eventually("both have certificates") {
                        ["GivenUp/exits/2", "Refusing/exits/1"]
                            .allSatisfy { !place.text("run/agents/\($0).json").isEmpty } ? true : nil
                    }
                    let givenUp = try run.ctl("why", "GivenUp").output
                    #expect(givenUp.hasPrefix("GivenUp ended by itself with code 3 after "), "\(givenUp)")
                    #expect(givenUp.contains("\n\nGivenUp is failed: exited with code 3 after "), "\(givenUp)")
                    let words = "; given up after 1 restart within 60 s; `agentctl start GivenUp` tries again\n"
                    #expect(givenUp.hasSuffix(words), "\(givenUp)")
                    let refusing = try run.ctl("why", "Refusing").output
                    #expect(refusing.hasPrefix("Refusing could not work with its configuration (code 78)"))
                    #expect(refusing.contains("; not tried again, because code 78 says that its configuration "))
                    #expect(try run.stop().exit == .code(0))
                }
                #expect(try place.agentctl(["why", "GivenUp"]).output.hasPrefix("GivenUp ended by itself with code 3"))
            }
        }

        private static func expectCheckToTell(_ place: Place) throws {
            let check = try place.supervise("--check")
            #expect(check.exit == .code(78))
            for expectation in expectations where expectation.isFoundAtOnce {
                let line = check.error.split(separator: "\n").first { line in
                    expectation.words.allSatisfy { line.contains($0) }
                }
                #expect(line != nil, "\(expectation.agent): no line with \(expectation.words) in\n\(check.error)")
            }
        }

        private static func write(to place: Place) throws {
            try place.addFaulty(
                "Well", "well", #""outputs": { "book": { "type": "BookUpdate", "delivery": "stream" } }"#)
            try place.add("Malformed", #"{ "executable": misbehave }"#)
            try place.add("Empty", "")
            try place.add("Misspelt", #"{ "executable": "misbehave", "readiness": "notify", "watchdogSecs": 2 }"#)
            func input(_ name: String, _ port: String, _ value: String) throws {
                try place.add(
                    name,
                    #"{ "executable": "misbehave", "inputs": { "\#(port)": { "delivery": "stream", \#(value) } } }"#)
            }
            try input("Typeless", "book", #""type": "BookUpdat", "from": "Well.book""#)
            try input("Portless", "book", #""type": "BookUpdate", "from": "Well.bok""#)
            try input("Mistyped", "quotes", #""type": "Quote", "from": "Well.book""#)
            try input("Sourceless", "book", #""type": "BookUpdate""#)
            try place.add("Missing", #"{ "executable": "nowhere" }"#)
            try place.add("Forbidden", #"{ "executable": "script.sh" }"#)
            try place.write("agents/Forbidden/script.sh", DropIns.script)
            try place.write("agents/plain.sh", DropIns.script)
            try place.add("Foreign", #"{ "executable": "foreign" }"#)
            try place.write("agents/Foreign/foreign", try foreignProgram(), mode: 0o755)
            try place.add("Garbage", #"{ "executable": "garbage" }"#)
            try place.write("agents/Garbage/garbage", Data([0x01, 0x02, 0x03, 0xFF, 0x00, 0x80]), mode: 0o755)
            try place.write("agents/Uninterpreted", "#!/no/such/shell\n", mode: 0o755)
        }

        /// Our own program's header with another machine's number in it (elf(5): e_machine is at 18).
        private static func foreignProgram() throws -> Data {
            let file = try #require(FileHandle(forReadingAtPath: Programs.agentctl))
            defer { try? file.close() }
            var header = try #require(try file.read(upToCount: 4_096))
            let arm64: UInt8 = 183
            let x86: UInt8 = 62
            header[18] = header[18] == arm64 ? x86 : arm64
            header[19] = 0
            return header
        }
    }
}
