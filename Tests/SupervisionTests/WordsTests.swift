import Testing

@testable import Supervision

/// What people are shown of states and stops is words, not the names that the source has for them.
@Suite struct WordsTests {
    @Test func causesAndReasonsAreWords() {
        let words = TransitionCause.allCases.map(\.words) + StopReason.allCases.map(\.words)
        for text in words {
            #expect(!text.contains("-") && !text.contains("_"), "\(text)")
            #expect(text.contains(/[a-z][A-Z]/) == false, "\(text)")
        }
        #expect(Set(words).count == words.count - 2, "two are both: not ready in time, no sign of life in time")
    }
}
