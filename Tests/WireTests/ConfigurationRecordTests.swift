import Testing

@testable import Wire

@Suite struct ConfigurationRecordTests {
    private static let agentsDirectory = "/qp/agents"

    private func disk() -> FakeDisk {
        var disk = FakeDisk(agents: ["A": #"{ "executable": "run" }"#, "B": #"{ "executable": "none" }"#])
        disk.unreadable["/qp/agents/C/agent.json"] = .other("input/output error")
        disk.files["/qp/agents/C/agent.json"] = ""
        disk.executables.insert("/qp/agents/lone")
        disk.answers["/qp/agents/old"] = .wrongFormat("ELF for MIPS")
        return disk
    }

    private func load(_ source: some ConfigurationSource) -> FleetPlan? {
        try? FleetPlan.load(configurationFile: "/qp/supervisor.json", programDirectory: "/qp/bin", from: source).get()
    }

    @Test("what was read is the same again from its bytes, whatever has become of the disk")
    func bytes() throws {
        let record = ConfigurationRecord(disk())
        let plan = try #require(load(record))
        var writer = LengthPrefixedWriter()
        record.content.write(to: &writer)
        var reader = LengthPrefixedReader(writer.bytes[...])
        let content = try ConfigurationRecord.Content(&reader)
        #expect(reader.isAtEnd && content == record.content)

        var gone = FakeDisk()
        gone.files = [:]
        gone.executables = []
        let again = ConfigurationRecord(content, over: gone, in: Self.agentsDirectory)
        let same = try #require(load(again))
        #expect(same.agents == plan.agents && again.content == content)
        #expect(!again.isUnchanged("/qp/agents/A/agent.json"))
    }

    @Test("a cut is damage")
    func cuts() throws {
        let record = ConfigurationRecord(disk())
        _ = load(record)
        var writer = LengthPrefixedWriter()
        record.content.write(to: &writer)
        for count in writer.bytes.indices {
            var reader = LengthPrefixedReader(writer.bytes[..<count])
            #expect(throws: LengthPrefixedReader.Damaged.self) { try ConfigurationRecord.Content(&reader) }
        }
    }
}
