import Testing
import Wire

@testable import Commands

@Suite struct LogPositionTests {
    private static func line(_ at: Int, _ text: String = "tick", _ stream: LogLine.Stream = .stdout) -> LogLine {
        LogLine(agent: "A", at: "2026-01-01T00:00:00.\(100_000 + at)Z", stream: stream, incarnation: 1, text: text)
    }

    private static func position(_ lines: [LogLine]) -> LogPosition {
        var position = LogPosition()
        for line in lines { position.note(line) }
        return position
    }

    @Test func goesOnBehindTheLastLineThatWasShown() {
        let log = (1...9).map { Self.line($0) }
        #expect(Self.position([log[3], log[4]]).rest(of: log) == log[5...])
        #expect(Self.position(log).rest(of: log)?.isEmpty == true)
        #expect(Self.position([]).rest(of: log) == log[...], "it was empty when it was looked at")
        #expect(Self.position([Self.line(0)]).rest(of: log) == nil, "what was shown is no longer there")
    }

    @Test func equalLinesOfOneMomentAreCounted() {
        let log = [Self.line(1), Self.line(2), Self.line(2), Self.line(2), Self.line(3)]
        #expect(Self.position(Array(log[..<3])).rest(of: log) == log[3...])
        #expect(Self.position(Array(log[..<4])).rest(of: log) == log[4...])
        #expect(Self.position(Array(log[..<4])).rest(of: Array(log[3...])).map(Array.init) == [log[4]])
    }

    @Test func linesThatTheFileDidNotTakeAreNoMark() {
        let log = [Self.line(1), Self.line(4), Self.line(5)]
        #expect(Self.position([Self.line(1), Self.line(2), Self.line(3)]).rest(of: log) == log[1...])
    }

    @Test func controlCharactersAreDotsInTheFile() {
        let log = [Self.line(1, "a.[0m\tb"), Self.line(2)]
        #expect(Self.position([Self.line(1, "a\u{1B}[0m\tb")]).rest(of: log) == log[1...])
    }

    @Test func lateLinesOfManyAreFound() {
        let log = (1...500).map { Self.line($0) }
        #expect(Self.position(Array(log[..<300])).rest(of: Array(log[200...])) == Array(log[200...])[100...])
    }
}
