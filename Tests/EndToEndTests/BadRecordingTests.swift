import Foundation
import Testing
import Wire

extension EndToEnd {
    /// Recordings with faults: told in MarketFeed's log with file and line, and what is good is used.
    @Suite struct BadRecordings {
        @Test(
            "a recording that breaks off is used up to there",
            .enabled(if: Programs.hasData, "needs ../shared/data"))
        func truncated() throws {
            try Place.with { place in
                let whole = try #require(FileHandle(forReadingAtPath: Programs.bitcoinRecording))
                let half = try #require(try whole.read(upToCount: 200_000))
                try whole.close()
                let file = try place.write("half.gz", half)
                let log = try Self.replay(file, in: place)
                let complaint = try #require(log.split(separator: "\n").first { $0.contains("truncated") }, "\(log)")
                #expect(complaint.contains("\(file):"), "file and line: \(complaint)")
                #expect(Self.line(in: complaint, after: file) ?? 0 > 100, "\(complaint)")
            }
        }

        @Test(
            "a bad line is told by its number and skipped", .enabled(if: Programs.hasData, "needs ../shared/data"))
        func corruptLine() throws {
            try Place.with { place in
                var lines = try Self.lines(2_000)
                lines[1_233] = "1723075200000000000 {\"stream\": \"btcusdt@depth\", \"da"
                lines[1_500] = "\u{1}\u{2}\u{FFFD}"
                let file = try place.write("bad.txt", lines.joined(separator: "\n") + "\n")
                let log = try Self.replay(file, in: place)
                #expect(log.contains("\(file):1234: "), "\(log)")
                #expect(log.contains("\(file):1501: "), "\(log)")
                #expect(log.contains("2 bad lines"), "\(log)")
                #expect(log.contains("2000 lines"), "all the others were read")
            }
        }

        @Test(
            "a recording that is not there, or none at all, ends the run with the reason",
            arguments: [
                ("missing.gz", nil), ("folder", nil), ("text.txt", "Dear diary,\nnothing happened today.\n"),
            ] as [(String, String?)])
        func unusable(_ name: String, _ content: String?) throws {
            try Place.with { place in
                try place.adopt("MarketFeed")
                // The failure is told at once; how often it is tried again is not the matter here.
                try place.configure(
                    #"{ "agents": { "MarketFeed": { "restart": { "intensity": { "restarts": 1 } } } } }"#)
                let file = "\(place.path)/\(name)"
                if let content { try place.write(name, content) }
                if name == "folder" {
                    try FileManager.default.createDirectory(atPath: file, withIntermediateDirectories: true)
                }
                let outcome = try place.withSupervisor("--until-idle", environment: ["FEED": file]) {
                    try $0.finish(within: 300)
                }
                #expect(outcome.exit == .code(1), "\(outcome)")
                #expect(outcome.error.contains("MarketFeed"), "\(outcome.error)")
                #expect(!outcome.output.contains("Run summary"), "there is nothing to sum up: \(outcome.output)")
                #expect(place.text("run/logs/MarketFeed.log").contains(file))
            }
        }

        /// Replays a recording to its end; MarketFeed's log.
        private static func replay(_ file: String, in place: Place) throws -> String {
            try place.adopt("MarketFeed", "AlphaScanner")
            let outcome = try place.withSupervisor("--until-idle", environment: ["FEED": file]) {
                try $0.finish(within: 300)
            }
            #expect(outcome.exit == .code(0), "\(outcome)")
            let summary = try Summary.read(place)
            let book = summary.wires.first { $0.wire == "MarketFeed.book>AlphaScanner.book" }
            #expect(book?.messages ?? 0 > 100, "what was good was used")
            #expect(summary.agents.allSatisfy { $0.restarts == 0 })
            return place.text("run/logs/MarketFeed.log")
        }

        /// The number behind `FILE:`.
        private static func line(in text: Substring, after file: String) -> Int? {
            guard let range = text.range(of: file + ":") else { return nil }
            return Int(text[range.upperBound...].prefix { $0.isNumber })
        }

        /// The beginning of the recording, unpacked.
        private static func lines(_ count: Int) throws -> [String] {
            let unpacked = try Program.run(
                "/bin/sh", ["-c", "gzip -dc '\(Programs.bitcoinRecording)' | head -n \(count)"])
            let lines = unpacked.output.split(separator: "\n").map(String.init)
            try #require(lines.count == count)
            return lines
        }
    }
}
