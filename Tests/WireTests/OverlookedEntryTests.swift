import Testing

@testable import Wire

@Suite struct OverlookedEntryTests {
    /// Name of a file that may not be executed and does not begin like a program; whether it looks as if it should.
    @Test(arguments: [
        ("bot.py", true), ("hello.sh", true), ("Bot.PY", true), ("strategy.js", true), ("momentum", true),
        ("a.b.rb", true),
        ("README", false), ("readme", false), ("README.md", false), ("LICENSE", false), ("Makefile", false),
        ("notes.txt", false), ("settings.json", false), ("agent.json", false), ("Momentum.swift", false),
        ("prices.csv", false), ("model.bin", false), ("data.unknown", false), ("v1.2", false),
        (".bot.py", false), (".gitignore", false), ("bot.py~", false), ("bot.py.swp", false), ("#bot.py#", false),
        ("bot.py.bak", false), ("bot.py.part", false), ("bot.py.new", false), ("4913", false),
    ])
    func files(name: String, isOverlooked: Bool) {
        let entry = OverlookedEntry.file(name, at: "/qp/agents/\(name)")
        #expect((entry != nil) == isOverlooked, "\(name)")
        if let entry { #expect(entry.description.contains("`chmod +x /qp/agents/\(name)`")) }
    }

    /// Names of a folder without a manifest and of what may be executed in it; the program it seems to be about.
    @Test(
        arguments: [
            ("Bot", ["main"], "main"), ("Bot", ["z", "main.py", "README.md"], "main.py"), ("Bot", ["run.v2"], "run.v2"),
            ("Bot", [], nil), ("Bot", ["README.md", "LICENSE", "a.json", "lib.so", "libx.so.1"], nil),
            ("Bot", ["old.bak", ".hidden"], nil),
            ("Bot", ["Bot.swift", "prices.csv"], nil), (".git", ["main"], nil), ("Bot~", ["main"], nil),
        ] as [(String, [String], String?)])
    func folders(name: String, programs: [String], program: String?) {
        let entry = OverlookedEntry.folder(name, at: "/qp/agents/\(name)", programs: programs)
        #expect((entry != nil) == (program != nil), "\(programs)")
        guard let entry, let program else { return }
        #expect(entry.remedy.contains("/qp/agents/\(name)/agent.json "))
        #expect(entry.remedy.hasSuffix("{ \"executable\": \"\(program)\" }"))
    }

    @Test func theLoaderTellsThemAndTakesNone() throws {
        var disk = FakeDisk(agents: ["Alpha": #"{"executable": "run"}"#])
        let files = ["bot.py", "README.md", "sources/Bot.swift", "Bot/notes.txt"]
        for file in files { disk.files["/qp/agents/\(file)"] = "" }
        disk.executables.insert("/qp/agents/Bot/main")
        let plan = try disk.plan()
        #expect(plan.agents.map(\.name) == ["Alpha"] && plan.agentErrors.isEmpty)
        #expect(plan.overlooked.map(\.name) == ["Bot", "bot.py"])
    }
}
