import Recording
import Testing

@Suite("Lines of plain and gzip files") struct LineReaderTests {
    /// Every line with its number, and every error.
    private func read(_ path: String, limit: Int = 1 << 20) throws -> (lines: [String], errors: [RecordingError]) {
        let reader = try LineReader(path: path, maximumLineBytes: limit)
        var (lines, errors): ([String], [RecordingError]) = ([], [])
        while errors.count < 100 {
            do {
                guard try reader.next() else { break }
                let line = reader.withLine { String(decoding: $0.withUnsafeBufferPointer { Array($0) }, as: UTF8.self) }
                lines.append("\(reader.lineNumber):\(line)")
            } catch {
                errors.append(error)
            }
        }
        return (lines, errors)
    }

    @Test(arguments: [
        ("", []), ("\n", ["1:"]), ("a", ["1:a"]), ("a\n", ["1:a"]), ("a\nb", ["1:a", "2:b"]),
        ("a\r\n\r\nb\r", ["1:a", "2:", "3:b"]), ("\n\n", ["1:", "2:"]), ("a\rb\n", ["1:a\rb"]),
    ])
    func splits(text: String, expected: [String]) throws {
        let plain = TemporaryFile(text)
        #expect(try read(plain.path).lines == expected)
        let packed = TemporaryFile(try gzipped(Array(text.utf8)))
        #expect(try read(packed.path).lines == expected)
    }

    @Test func manyChunksAndMembers() throws {
        let lines = (1...60_000).map { "line \($0) " + String(repeating: "x", count: $0 % 97) }
        let bytes = Array(lines.joined(separator: "\n").utf8)
        let expected = lines.enumerated().map { "\($0 + 1):\($1)" }
        let plain = TemporaryFile(bytes)
        #expect(try read(plain.path).lines == expected)
        let half = bytes.count / 2
        let members = try gzipped(Array(bytes[..<half])) + gzipped([]) + gzipped(Array(bytes[half...]))
        let packed = TemporaryFile(members + [0, 0, 0, 0])
        let (got, errors) = try read(packed.path)
        #expect(got == expected && errors.isEmpty)
    }

    @Test func refusesLongLinesAndGoesOn() throws {
        let long = String(repeating: "y", count: 700_000)
        let file = TemporaryFile("ok\n\(long)\n12345678\n123456789\nend")
        let (lines, errors) = try read(file.path, limit: 8)
        #expect(lines == ["1:ok", "3:12345678", "5:end"])
        #expect(errors.map(\.line) == [2, 4] && errors.allSatisfy { !$0.endsReading })
        let last = TemporaryFile("ok\n\(long)")
        let (before, lastErrors) = try read(last.path, limit: 8)
        #expect(before == ["1:ok"] && lastErrors.map(\.line) == [2])
    }

    /// Cut at any byte: the lines that come are the first ones of the whole, and the rest is one error that ends it.
    @Test func usesWhatIsGoodOfATruncatedFile() throws {
        let lines = (1...2_000).map { "\($0 &* 2_654_435_761)" }
        let packed = try gzipped(Array(lines.joined(separator: "\n").utf8))
        let whole = lines.enumerated().map { "\($0 + 1):\($1)" }
        for cut in stride(from: 2, to: packed.count, by: 501) {
            let file = TemporaryFile(Array(packed[..<cut]))
            let (got, errors) = try read(file.path)
            #expect(got == Array(whole.prefix(got.count)) && errors.count == 1, "cut at \(cut)")
            #expect(errors.first?.endsReading == true && errors.first?.line == got.count + 1)
            #expect(errors.first?.reason.contains("truncated") == true)
        }
    }

    @Test func reportsCorruption() throws {
        let lines = (1...5_000).map { "\($0 &* 2_654_435_761)" }
        var packed = try gzipped(Array(lines.joined(separator: "\n").utf8))
        let good = packed
        for at in stride(from: 100, to: packed.count, by: packed.count / 7) {
            packed = good
            packed[at] ^= 0x5a
            let file = TemporaryFile(packed)
            let (_, errors) = try read(file.path)  // a checksum at the end at the latest
            #expect(errors.count == 1 && errors[0].endsReading, "byte \(at)")
        }
        let tailed = TemporaryFile(good + Array("tail".utf8))
        let (kept, errors) = try read(tailed.path)
        #expect(kept.count == 4_999 && errors.count == 1)
        #expect(errors.first?.reason.contains("not gzip") == true)
    }

    @Test func saysWhatCannotBeRead() {
        #expect(throws: RecordingError.self) { try LineReader(path: "/tmp/qp-does-not-exist") }
        #expect(throws: RecordingError.self) { try LineReader(path: "/tmp") }
        do { _ = try LineReader(path: "/tmp/qp-does-not-exist") } catch {
            #expect("\(error)" == "/tmp/qp-does-not-exist: cannot be opened: No such file or directory")
        }
    }
}
