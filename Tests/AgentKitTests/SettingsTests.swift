import Testing

@testable import AgentKit

@Suite struct SettingsTests {
    @Test func readsWhatIsThereAndDefaultsWhatIsNot() throws {
        let settings = Settings([
            "window": .number(50), "speed": .number(1.5), "on": .flag(true), "name": .text("x"),
            "list": .list([.text("a"), .text("b")]),
        ])
        #expect(try settings.integer("window", default: 1, in: 1...100) == 50)
        #expect(try settings.number("speed", default: 1, in: 0...2) == 1.5)
        #expect(try settings.flag("on", default: false))
        #expect(try settings.text("name", default: "") == "x")
        #expect(try settings.texts("list", default: []) == ["a", "b"])
        #expect(try settings.integer("absent", default: 7, in: 1...9) == 7)
        try settings.requireAllRead()
    }

    @Test(arguments: [
        SettingValue.number(0), .number(101), .number(1.5), .text("5"), .flag(true), .null, .list([]), .object([:]),
    ])
    func refusesWhatIsNoWholeNumberInRange(value: SettingValue) throws {
        let settings = Settings(["window": value])
        let error = #expect(throws: AgentFailure.self) { try settings.integer("window", default: 1, in: 1...100) }
        #expect("\(error!)".hasPrefix("'settings.window' must be a whole number from 1 to 100, not "))
    }

    @Test func collectsEveryWrongValueAndGoesOnWithDefaults() throws {
        let settings = Settings(
            [
                "window": .text("x"), "on": .number(1), "mode": .text("c"), "list": .list([.number(1)]),
                "fee": .number(2),
            ],
            collecting: true)
        #expect(try settings.integer("window", default: 7, in: 1...100) == 7)
        #expect(try settings.flag("on", default: true))
        #expect(try settings.choice("mode", default: "a", of: ["a", "b"]) == "a")
        #expect(try settings.texts("list", default: ["z"]) == ["z"])
        #expect(try settings.decimal("fee", default: "0.2") == "0.2")
        #expect(settings.collected.count == 5)
        #expect(settings.collected[2].hasPrefix("'settings.mode' must be one of a, b, not \"c\""))
        try settings.requireAllRead()
    }

    @Test func namesKeysThatNobodyReads() throws {
        let settings = Settings(["windw": .number(3)])
        _ = try settings.integer("window", default: 1, in: 1...100)
        let error = #expect(throws: AgentFailure.self) { try settings.requireAllRead() }
        #expect(
            "\(error!)"
                == "unknown key 'settings.windw'; this agent reads: window. Correct agent.json or supervisor.json")
    }
}
