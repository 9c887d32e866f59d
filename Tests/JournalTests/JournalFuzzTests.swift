import Foundation
import Testing
import Wire

@testable import Journal

/// A small journal with everything in it that a journal can have (a full segment, one of a killed writer, a torn tail,
/// a successor's), and then every byte of it changed, every length cut, every segment lost.
@Suite struct JournalFuzzTests {
    let scratch = Scratch()
    var directory: String { scratch.path + "/journal" }
    static let options = JournalOptions(segmentBytes: 8 << 10)

    /// What was written, and the files that hold it.
    struct Original {
        var texts: [String] = []
        /// Oldest first.
        var segments: [(file: String, bytes: [UInt8])] = []
        var claim: [UInt8] = []
        /// End of what counts in each file.
        var ends: [Int] = []
    }

    func make() throws -> Original {
        var original = Original()
        do {
            let journal = try JournalWriter(
                directory: directory, identity: "NeuralArb", epoch: 1, options: Self.options)
            for number in 1...9 {
                original.texts.append("record \(number) " + String(repeating: "a", count: 600))
                try journal.append(original.texts.last!)
            }
        }
        let journal = try JournalWriter(directory: directory, identity: "NeuralArb", epoch: 2, options: Self.options)
        for number in 10...12 {
            original.texts.append("record \(number) " + String(repeating: "b", count: 60 * number - 500))
            try journal.append(original.texts.last!)
        }
        for first in try JournalDirectory(path: directory).segments() {
            let file = JournalDirectory(path: directory).file(firstSequence: first)
            original.segments.append((file, scratch.bytes(file)))
            original.ends.append((scratch.bytes(file).lastIndex { $0 != 0 } ?? 0) + 1)
        }
        original.claim = scratch.bytes(directory + "/" + JournalClaim.fileName)
        try #require(original.segments.count == 3)
        try #require(Readout(directory).texts == original.texts)
        return original
    }

    /// Puts everything back, but for one file, which becomes `bytes` (nil: it is gone).
    func put(_ original: Original, _ changed: Int? = nil, _ bytes: [UInt8]? = nil) {
        let known = Set(original.segments.map(\.file))
        for first in (try? JournalDirectory(path: directory).segments()) ?? [] {
            let file = JournalDirectory(path: directory).file(firstSequence: first)
            if !known.contains(file) { unlink(file) }
        }
        for (index, segment) in original.segments.enumerated() {
            if index == changed, bytes == nil {
                unlink(segment.file)
            } else {
                write(index == changed ? bytes! : segment.bytes, to: segment.file)
            }
        }
        write(original.claim, to: directory + "/" + JournalClaim.fileName)
    }

    /// In place: much quicker than a new file.
    private func write(_ bytes: [UInt8], to file: String) {
        let descriptor = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        #expect(pwrite(descriptor, bytes, bytes.count, 0) == bytes.count)
        close(descriptor)
    }

    /// Offsets in a segment file: all that hold something, and some of those that hold zeros.
    func offsets(_ original: Original, _ index: Int) -> [Int] {
        let header = 0..<220
        let used = SegmentHeader.byteCount - 8..<original.ends[index] + 48
        let rest = stride(from: 220, to: original.segments[index].bytes.count, by: 397)
        return Set(header).union(used).union(rest).filter { $0 < original.segments[index].bytes.count }.sorted()
    }

    /// Reading gives a beginning of what was written and says why no more; writing on continues that, or is refused.
    func expectNothingWrong(_ readout: Readout, _ original: Original, _ what: Comment, alsoWriting: Bool) {
        let count = readout.texts.count
        #expect(readout.texts == Array(original.texts.prefix(count)), what)
        if count < original.texts.count { #expect(readout.error != nil || readout.tornTail != nil, what) }
        if let error = readout.error { #expect(error.file?.hasPrefix(directory) == true, what) }
        guard alsoWriting else { return }
        do throws(JournalError) {
            let journal = try JournalWriter(
                directory: directory, identity: "NeuralArb", epoch: 3, options: Self.options)
            // Damage in the middle of an older segment is the readers' to find; what is appended is not behind it then.
            if readout.error == nil { #expect(journal.lastSequence == UInt64(count), what) }
            try journal.append("next")
            let again = Readout(directory)
            if readout.error == nil {
                #expect(again.texts == readout.texts + ["next"] && again.error == nil, what)
            } else {
                #expect(again.error == readout.error && again.texts == readout.texts, what)
            }
        } catch {
            #expect(error.description.contains(directory), what)
        }
    }

    @Test(arguments: 0..<3) func everyFlippedByte(segment: Int) throws {
        let original = try make()
        var bytes = original.segments[segment].bytes
        var silent: [Int] = []
        for (turn, at) in offsets(original, segment).enumerated() {
            let mask: UInt8 = turn % 2 == 0 ? 0xFF : 1 << UInt8(turn % 8)
            bytes[at] ^= mask
            put(original, segment, bytes)
            let readout = Readout(directory)
            if readout.error == nil, readout.tornTail == nil { silent.append(at) }
            if case .corrupt(let file, let offset, _) = readout.error, file == original.segments[segment].file {
                #expect(offset <= at, "byte \(at)")
            }
            expectNothingWrong(
                readout, original, "segment \(segment), byte \(at) ^ \(mask)", alsoWriting: turn % 7 == 0)
            bytes[at] ^= mask
        }
        // Only hints, and what lies behind the end of a segment that another one follows, may change unnoticed.
        let hints = SegmentHeader.durableBytesAt..<SegmentHeader.zerosAt
        let end = segment == 2 ? original.segments[segment].bytes.count : original.ends[segment]
        #expect(silent.allSatisfy { hints.contains($0) || $0 >= end }, "\(silent)")
    }

    @Test(arguments: 0..<3) func everyTruncation(segment: Int) throws {
        let original = try make()
        for (turn, length) in offsets(original, segment).enumerated() {
            put(original, segment, Array(original.segments[segment].bytes.prefix(length)))
            let readout = Readout(directory)
            #expect(readout.error != nil, "segment \(segment), \(length) bytes")
            expectNothingWrong(
                readout, original, "segment \(segment), \(length) bytes", alsoWriting: turn % 7 == 0)
        }
    }

    @Test func aMissingSegmentIsRefusedByReaderAndWriter() throws {
        let original = try make()
        put(original, 1)
        guard case .gap(let file, 7, 10) = Readout(directory).error else {
            Issue.record("\(String(describing: Readout(directory).error))")
            return
        }
        #expect(file == original.segments[2].file)
        do throws(JournalError) {
            _ = try JournalWriter(directory: directory, identity: "NeuralArb", epoch: 3)
            Issue.record("a journal with a gap was opened")
        } catch {
            #expect(error == .gap(file: file, expected: 7, found: 10))
            #expect(error.description.contains("restore it, or move the journal away"))
        }
        // The oldest ones may go: that is how journals are trimmed.
        put(original, 0)
        #expect(Readout(directory).texts == Array(original.texts.dropFirst(6)))
        #expect(try JournalWriter(directory: directory, identity: "NeuralArb", epoch: 3).lastSequence == 12)
    }

    @Test(arguments: 0..<3) func anEmptiedSegmentIsRefused(segment: Int) throws {
        let original = try make()
        for bytes in [[], [UInt8](repeating: 0, count: 8 << 10)] {
            put(original, segment, bytes)
            guard case .corrupt(original.segments[segment].file, 0, _) = Readout(directory).error else {
                Issue.record("\(String(describing: Readout(directory).error))")
                continue
            }
            #expect(throws: JournalError.blank(original.segments[segment].file)) {
                try JournalWriter(directory: directory, identity: "NeuralArb", epoch: 3)
            }
        }
    }

    @Test func aLastSegmentThatLostItsContentWithThePowerIsDropped() throws {
        let original = try make()
        put(original, 2, [UInt8](repeating: 0, count: 8 << 10))
        // As if the machine had been started after the file was changed last.
        let system = JournalSystem(bootedAt: { .max })
        let journal = try JournalWriter(
            directory: directory, identity: "NeuralArb", epoch: 3, options: Self.options, system: system,
            anchor: { .now() })
        #expect(journal.lastSequence == 9)
    }

    @Test func anotherAgentsSegmentIsRefused() throws {
        let original = try make()
        let other = scratch.path + "/other"
        do {
            let journal = try JournalWriter(directory: other, identity: "RiskSentinel", epoch: 1, options: Self.options)
            for text in original.texts { try journal.append(text) }
        }
        for segment in 0..<3 {
            let file = original.segments[segment].file.replacing("/journal/", with: "/other/")
            let bytes = scratch.bytes(file)
            guard !bytes.isEmpty else { continue }
            put(original, segment, bytes)
            #expect(throws: JournalError.self) {
                try JournalWriter(directory: directory, identity: "NeuralArb", epoch: 3)
            }
            let readout = Readout(directory, identity: "NeuralArb")
            #expect(readout.texts == Array(original.texts.prefix(readout.texts.count)))
            guard case .identity(_, "RiskSentinel", "NeuralArb") = readout.error else {
                Issue.record("\(String(describing: readout.error))")
                continue
            }
        }
    }

    @Test func anotherVersionsSegmentIsRefused() throws {
        let original = try make()
        for segment in 0..<3 {
            var bytes = original.segments[segment].bytes
            bytes[8] = 1
            put(original, segment, bytes)
            let expected = JournalError.version(file: original.segments[segment].file, found: 1)
            #expect(Readout(directory).error == expected)
            #expect(throws: expected) { try JournalWriter(directory: directory, identity: "NeuralArb", epoch: 3) }
        }
    }

    @Test(arguments: ["notes.txt", "0000000000000001.journal.bak", "00000000000000AB.journal", "journal.swp"])
    func aForeignFileIsRefused(name: String) throws {
        let original = try make()
        scratch.write([1, 2, 3], to: "\(directory)/\(name)")
        let expected = JournalError.foreign(file: "\(directory)/\(name)")
        #expect(throws: expected) { try JournalWriter(directory: directory, identity: "NeuralArb", epoch: 3) }
        #expect(expected.description.contains("move it away"))
        // Readers refuse what might be a segment of this journal under another name.
        let readout = Readout(directory)
        #expect(name.contains(".journal") ? readout.error == expected : readout.texts == original.texts)
    }

    @Test func theSurveyTellsEachDamageAndReadsOn() throws {
        let original = try make()
        #expect(JournalSurvey(directory: directory).problems.isEmpty)
        var bytes = original.segments[0].bytes
        bytes[SegmentHeader.byteCount + 700] ^= 1
        put(original, 0, bytes)
        scratch.write([1], to: directory + "/notes.txt")
        let survey = JournalSurvey(directory: directory, identity: "NeuralArb")
        #expect(survey.problems.count == 2)
        #expect(survey.problems[0] == .foreign(file: directory + "/notes.txt"))
        guard case .corrupt(original.segments[0].file, let offset, _) = survey.problems[1] else {
            Issue.record("\(survey.problems)")
            return
        }
        #expect(offset <= SegmentHeader.byteCount + 700 && survey.problems[1].offset == offset)
        #expect(survey.segments.map(\.first) == [1, 7, 10] && survey.segments.map(\.records) == [1, 3, 3])
        // A segment that is not the one before's follower is read by itself.
        put(original, 1)
        unlink(directory + "/notes.txt")
        let gap = JournalSurvey(directory: directory)
        #expect(gap.problems == [.gap(file: original.segments[2].file, expected: 7, found: 10)])
        #expect(gap.records == 9 && gap.segments.map(\.records) == [6, 3])
    }
}
