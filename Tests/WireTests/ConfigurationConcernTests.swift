import Testing

@testable import Wire

@Suite struct ConfigurationConcernTests {
    /// Members of supervisor.json with a mistake; of whom nothing is said by it.
    @Test(
        arguments: [
            (#""runDirectry": "x""#, ["A", "B.c"]), (#""logs": { "files": 0 }"#, ["A", "B.c"]),
            (#""agents": { "A": { "limit": {} } }"#, ["B.c"]), (#""agents": { "B.c": { "limit": {} } }"#, ["A"]),
            (#""agents": { "Fed": {} }"#, ["A", "B.c"]), (#""defaults": { "limits": { "cpu": "x" } }"#, []),
            (#""pipelines": { "main": { "wires": { "A.book": "Feed.bok" } } }"#, ["B.c"]),
            (#""pipelines": { "main": { "strategy": "x" } }"#, ["A", "B.c"]),
        ] as [(String, [String])])
    func concerned(members: String, expected: [String]) throws {
        let port = #""book": { "type": "BookUpdate", "delivery": "stream""#
        let disk = FakeDisk(
            "{ \(members) }",
            agents: [
                "A": #"{ "executable": "run", "inputs": { \#(port), "optional": true } } }"#,
                "B.c": #"{ "executable": "run" }"#, "Broken": #"{ "executabl": "run" }"#,
                "Feed": #"{ "executable": "run", "outputs": { \#(port) }, "unknown": 1 } }"#,
            ])
        let (plan, fatal, errors) = FleetPlan.judge(
            configurationFile: "/qp/supervisor.json", programDirectory: "/qp/bin", from: disk)
        #expect(!fatal.isEmpty && errors.contains { $0.file.contains("Broken") })
        #expect(try #require(plan).unconcerned(by: fatal).map(\.name) == expected, "\(fatal)")
    }
}
