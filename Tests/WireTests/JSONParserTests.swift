import Testing

@testable import Wire

@Suite struct JSONParserTests {
    private func error(_ text: String) -> ConfigurationError? {
        switch JSONParser.parse(Array(text.utf8), file: "f") {
        case .success: nil
        case .failure(let errors): errors.errors.first
        }
    }

    @Test(arguments: [
        ("null", JSONValue.null), (" true ", .bool(true)), ("[ ]", .array([])), ("{}", .object([])),
        ("-0", .integer(0)), ("9223372036854775807", .integer(.max)), ("-9223372036854775808", .integer(.min)),
        ("1.5e3", .number(1500)), ("0.1", .number(0.1)), ("1E+2", .number(100)),
        (#""\u0041\n\/\"\\ \ud83d\ude00 é""#, .string("A\n/\"\\ 😀 é")),
        (
            #"{"b":1,"a":[true,null]}"#,
            .object([.init(key: "b", value: .integer(1)), .init(key: "a", value: .array([.bool(true), .null]))])
        ),
    ])
    func readsWhatIsJSON(text: String, value: JSONValue) throws {
        #expect(try JSONValue.parse(Array(text.utf8), file: "f").get() == value)
    }

    @Test(arguments: [
        ("", "the file is empty"), ("  \n ", "the file is empty"), ("{", "not the end of the file"),
        ("{\"a\":1,}", "a comma stands before '}'"), ("[1,]", "a comma stands before ']'"), ("[1 2]", "',' or ']'"),
        ("{\"a\" 1}", "':' is expected"), ("{a:1}", "a key in double quotes"), ("{'a':1}", "a key in double quotes"),
        ("// x\n{}", "a value is expected"), ("nul", "a value is expected"), ("NaN", "a value is expected"),
        ("01", "01 is not a JSON number"), ("1.", "1. is not a JSON number"), (".5", "a value is expected"),
        ("+1", "a value is expected"), ("-", "- is not a JSON number"), ("1e", "1e is not a JSON number"),
        ("0x10", "'x' after the end"), ("9223372036854775808", "out of the range"), ("1e999", "out of the range"),
        ("\"abc", "this string does not end"), ("\"a\nb\"", "this string does not end in its line"),
        ("\"a\tb\"", "a control character"), (#""\x""#, "unknown escape"), (#""\u12g4""#, "four hexadecimal"),
        (#""\ud800""#, "half of a surrogate pair"), (#""\udc00""#, "half of a surrogate pair"),
        (#""\ud800\u0041""#, "half of a surrogate pair"), ("{} {}", "after the end of the document"),
        ("\u{FEFF}{}", "byte order mark"), (String(repeating: "[", count: 65), "more than 64 levels"),
        ("{\"a\":1,\"a\":2}", "the key stands twice in one object (first in line 1)"),
        ("\"\\", "this string does not end"),
    ])
    func refusesWhatIsNot(text: String, problem: String) throws {
        let found = try #require(error(text))
        #expect(found.problem.contains(problem), "\(found)")
        #expect(!found.remedy.isEmpty)
    }

    @Test func saysWhere() throws {
        let found = try #require(error("{\n  \"äö\": \"ü\", \"b\": {\"c\": [1, x]}\n}"))
        #expect(found.line == 2)
        #expect(found.column == 29)
        #expect(found.keyPath == "b.c[1]")
    }

    @Test func refusesWhatIsNotUTF8() {
        guard case .failure(let errors) = JSONParser.parse([0x22, 0xFF, 0x22], file: "f") else {
            Issue.record("bytes that are no text were taken")
            return
        }
        #expect(errors.errors[0].problem.contains("not UTF-8"))
    }

    /// Whatever the bytes, the parser answers. Every prefix and every one-byte change of a document that has it all.
    @Test func neverTraps() {
        let document = Array(#"{"a":[1,-2.5e3,true,null,"x\u0041\ud83d\ude00"],"b":{"c":"é"}}"#.utf8)
        var accepted = 0
        for end in document.indices {
            if case .success = JSONParser.parse(Array(document[..<end]), file: "f") { accepted += 1 }
        }
        #expect(accepted == 0)
        for index in document.indices {
            for byte: UInt8 in [0, 0x22, 0x5C, 0x7B, 0x7D, 0x2C, 0x30, 0x65, 0x75, 0x80, 0xFF] {
                var changed = document
                changed[index] = byte
                _ = JSONParser.parse(changed, file: "f")
            }
        }
    }

    @Test func writesWhatItReads() throws {
        let text = #"{"s":"a\"\\\n\u0001é😀","l":[1,-2,0.5,true,false,null],"o":{}}"#
        let value = try JSONValue.parse(Array(text.utf8), file: "f").get()
        #expect(value.text == text)
        #expect(try value.decoded(as: JSONValue.self)["l"] == value["l"])
    }

    @Test func nullTakesAKeyAway() throws {
        func node(_ text: String) throws -> JSONNode { try JSONParser.parse(Array(text.utf8), file: "f").get() }
        let lower = try node(#"{"a":1,"o":{"x":1,"y":2},"l":[1]}"#)
        let upper = try node(#"{"a":null,"o":{"y":3,"z":4},"l":[2,3],"n":null}"#)
        #expect(lower.merged(under: upper).value.text == #"{"o":{"x":1,"y":3,"z":4},"l":[2,3]}"#)
    }

    @Test func findsTheNearestName() {
        let known = ["memory", "cpu", "processes", "fileSize"]
        #expect(NearestName.of("memroy", among: known) == "memory")
        #expect(NearestName.of("Memory", among: known) == "memory")
        #expect(NearestName.of("filesize", among: known) == "fileSize")
        #expect(NearestName.of("network", among: known) == nil)
        #expect(NearestName.distance("kitten", "sitting") == 3)
        #expect(NearestName.distance("ab", "ba") == 1)
        #expect(NearestName.distance("", "abc") == 3)
    }
}
