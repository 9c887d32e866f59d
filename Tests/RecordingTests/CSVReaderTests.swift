import Recording
import Testing

@Suite("CSV rows") struct CSVReaderTests {
    private func read(_ text: String, delimiter: Character = ",") throws -> (rows: [[String]], errors: [String]) {
        let file = TemporaryFile(text)
        let reader = try CSVReader(path: file.path, delimiter: delimiter.asciiValue!)
        var (rows, errors): ([[String]], [String]) = ([], [])
        while errors.count < 10 {
            do {
                guard let row = try reader.next() else { break }
                rows.append(["\(reader.rowLine)"] + row)
            } catch {
                errors.append("\(error.line): \(error.reason)")
            }
        }
        return (rows, errors)
    }

    @Test(arguments: [
        ("a,b\nc,d\n", [["1", "a", "b"], ["2", "c", "d"]]),
        ("a,,\r\n\r\n,x", [["1", "a", "", ""], ["3", "", "x"]]),
        ("\"a,b\",\"say \"\"hi\"\"\"", [["1", "a,b", "say \"hi\""]]),
        ("\"two\nlines\",x\nnext,y", [["1", "two\nlines", "x"], ["3", "next", "y"]]),
        ("\"\n\n\",x", [["1", "\n\n", "x"]]), ("\"\",\"\"", [["1", "", ""]]),
        ("5\" disk,x", [["1", "5\" disk", "x"]]), ("é,\u{1F600}", [["1", "é", "\u{1F600}"]]), ("", []),
    ])
    func reads(text: String, expected: [[String]]) throws {
        let (rows, errors) = try read(text)
        #expect(rows == expected && errors.isEmpty)
    }

    @Test func refusesAndGoesOn() throws {
        let (rows, errors) = try read("good,1\n\"bad\"x,2\ngood,3\n\"open,4\n")
        #expect(rows == [["1", "good", "1"], ["3", "good", "3"]])
        #expect(errors.map { String($0.prefix(2)) } == ["2:", "4:"] && errors[1].contains("never closes"))
    }

    @Test func boundsAnOpenQuote() throws {
        let lines = String(repeating: String(repeating: "z", count: 999) + "\n", count: 400)
        let (rows, errors) = try read("a\n\"\(lines)")
        #expect(rows.first == ["1", "a"] && errors.first?.hasPrefix("2: the row is longer") == true)
    }

    @Test func refusesWhatIsNotText() throws {
        let file = TemporaryFile([0x61, 0xff, 0x0a, 0x62])
        let reader = try CSVReader(path: file.path)
        #expect(throws: RecordingError.self) { try reader.next() }
        #expect(try reader.next() == ["b"])
    }

    @Test func readsTabs() throws {
        #expect(try read("a,b\tc", delimiter: "\t").rows == [["1", "a,b", "c"]])
    }
}
