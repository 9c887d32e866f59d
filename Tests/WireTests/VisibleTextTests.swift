import Testing
import Wire

@Suite struct VisibleTextTests {
    @Test(arguments: [
        ("plain text", "plain text"), ("Größe → 1", "Größe → 1"), ("", ""), ("a\u{1B}[2Jb", "a\\u{1B}[2Jb"),
        ("one\ntwo\r\n\tthree", "one\\ntwo\\r\\n\\tthree"), ("\u{9B}31m", "\\u{9B}31m"),
        ("\u{7F}\u{0}", "\\u{7F}\\u{0}"),
        ("\u{202E}gpj.exe", "\\u{202E}gpj.exe"), ("\u{2028}", "\\u{2028}"),
    ])
    func nothingSteersTheTerminal(text: String, shown: String) {
        #expect(text.visible == shown)
    }

    @Test func linesStayLines() {
        #expect("one\ntwo\u{7}".visibleLines == "one\ntwo\\u{7}")
    }
}
