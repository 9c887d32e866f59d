import Foundation
import Testing
import Wire

@testable import Journal

/// Reading in several goes, and what a writer keeps for it.
@Suite struct JournalPositionTests {
    let scratch = Scratch()
    var directory: String { scratch.path + "/journal" }

    func writer(_ epoch: UInt64 = 1, _ options: JournalOptions = JournalOptions(segmentBytes: 8 << 10)) throws
        -> JournalWriter
    {
        try JournalWriter(directory: directory, identity: "NeuralArb", epoch: epoch, options: options)
    }

    /// Records behind `position`, at most `most`, and where that ends.
    func read(after position: JournalPosition?, most: Int = .max) throws -> ([UInt64], JournalPosition?) {
        var reader = JournalReader(directory: directory, identity: "NeuralArb", after: position)
        var sequences: [UInt64] = []
        while sequences.count < most, let record = try reader.next() { sequences.append(record.sequence) }
        return (sequences, reader.position)
    }

    /// As written down and read again.
    func stored(_ position: JournalPosition?) throws -> JournalPosition {
        let position = try #require(position)
        return try #require(
            JournalPosition(sequence: position.sequence, segment: position.segment, link: position.link))
    }

    @Test func readingGoesOnWhereItEndedAtEveryRecord() throws {
        let journal = try writer()
        for number in 1...200 { try journal.append("record \(number)") }
        var position: JournalPosition?
        for expected in 1...UInt64(200) {
            let (sequences, next) = try read(after: position, most: 1)
            #expect(sequences == [expected])
            position = try stored(next)
        }
        #expect(try read(after: position).0.isEmpty)
        for number in 201...300 { try journal.append("record \(number)") }
        #expect(try read(after: position).0 == Array(201...300))
        #expect(try read(after: JournalPosition(beginningOf: 1)).0.count == 300)
    }

    @Test func aSuccessorsSegmentDoesNotConfuseIt() throws {
        do { try writer(1).append("one") }
        // Read while the second writer's segment is empty; the third takes its place.
        let second = try writer(2)
        let (_, position) = try read(after: nil)
        #expect(position?.sequence == 1)
        withExtendedLifetime(second) {}
        try writer(3).append("two")
        #expect(try read(after: try stored(position)).0 == [2])
    }

    @Test func aReplacedJournalIsNoticed() throws {
        do {
            let journal = try writer()
            for number in 1...20 { try journal.append("record \(number)") }
        }
        let position = try stored(try read(after: nil, most: 10).1)
        let changed = JournalError.changed(directory: directory, sequence: 10)
        try FileManager.default.removeItem(atPath: directory)
        #expect(throws: changed) { try read(after: position) }
        do {
            let journal = try writer()
            for number in 1...5 { try journal.append("record \(number)") }
        }
        #expect(throws: changed) { try read(after: position) }
        do {
            let journal = try writer(2)
            for number in 6...20 { try journal.append("another \(number)") }
        }
        #expect(throws: changed) { try read(after: position) }
        #expect(changed.description.contains("agentctl ledger rebuild"))
    }

    @Test func whatWasDroppedUnreadIsAGap() throws {
        let options = JournalOptions(retention: .ring, segmentBytes: 8 << 10, maxTotalBytes: 24 << 10)
        let journal = try writer(1, options)
        for number in 1...30 { try journal.append("record \(number)") }
        let position = try stored(try read(after: nil).1)
        for number in 31...1_000 { try journal.append("record \(number)") }
        let first = try JournalReader.segments(in: directory)[0]
        let file = JournalDirectory(path: directory).file(firstSequence: first)
        #expect(throws: JournalError.gap(file: file, expected: 31, found: first)) { try read(after: position) }
        #expect(try read(after: JournalPosition(beginningOf: first)).0 == Array(first...1_000))
    }

    @Test func aReadersMarkKeepsWhatItHasNotSeenWithinBounds() throws {
        let options = JournalOptions(retention: .ring, segmentBytes: 8 << 10, maxTotalBytes: 16 << 10)
        let journal = try writer(1, options)
        for number in 1...30 { try journal.append("record \(number)") }
        try JournalMark(reader: "ledger", sequence: 30).write(to: directory)
        #expect(JournalDirectory(path: directory).marks() == [JournalMark(reader: "ledger", sequence: 30)])
        for number in 31...300 { try journal.append("record \(number)") }
        #expect(try JournalReader.segments(in: directory)[0] == 1, "the first segment has records from 31 on")
        // A mark that moves on frees them.
        try JournalMark(reader: "ledger", sequence: 290).write(to: directory)
        for number in 301...400 { try journal.append("record \(number)") }
        #expect(try JournalReader.segments(in: directory)[0] > 1)
        // One that stands still holds a bounded number of bytes.
        for number in 401...2_000 { try journal.append("record \(number)") }
        let kept = try JournalReader.segments(in: directory)
        #expect(kept.count * (8 << 10) <= JournalLimits.laggingReaderFactor * options.maxTotalBytes)
        #expect(kept.count > 2 && kept[0] > 291)
        JournalMark.remove(reader: "ledger", from: directory)
        for number in 2_001...2_200 { try journal.append("record \(number)") }
        #expect(try JournalReader.segments(in: directory).count == 2)
        #expect(JournalSurvey(directory: directory).problems.isEmpty)
    }

    @Test func aMarkThatCannotBeReadKeepsEverything() throws {
        _ = try writer()
        for text in ["", "12", "x\n"] {
            scratch.write(Array(text.utf8), to: directory + "/ledger.reader")
            #expect(JournalDirectory(path: directory).marks().map(\.sequence) == [0])
        }
        // Where there is no journal there is nothing to keep.
        try JournalMark(reader: "ledger", sequence: 1).write(to: scratch.path + "/none")
        #expect(!FileManager.default.fileExists(atPath: scratch.path + "/none"))
    }
}
