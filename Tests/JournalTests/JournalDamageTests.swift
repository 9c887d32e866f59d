import Foundation
import TestSupport
import Testing
import Wire

@testable import Journal

/// Whatever happens to the bytes: a valid prefix or a report, never a crash, never a wrong record.
@Suite struct JournalDamageTests {
    let scratch = Scratch()
    var directory: String { scratch.path + "/journal" }
    var file: String { directory + "/0000000000000001.journal" }
    let options = JournalOptions(segmentBytes: 16 << 10)
    /// Large enough for damage in each field, small enough for every byte.
    let texts = (1...8).map { "record \($0)" + String(repeating: "x", count: $0) }

    func make(close: Bool) throws {
        let journal = try JournalWriter(directory: directory, identity: "NeuralArb", epoch: 1, options: options)
        for text in texts { try journal.append(text) }
        if close { try journal.close() }
    }

    func reopen(_ onDamage: DamagePolicy = .refuse) throws(JournalError) -> JournalWriter {
        var options = options
        options.onDamage = onDamage
        return try JournalWriter(directory: directory, identity: "NeuralArb", epoch: 2, options: options)
    }

    /// Puts `bytes` in place of the first segment, the only one then.
    func replace(_ bytes: [UInt8]) {
        let journal = JournalDirectory(path: directory)
        for other in (try? journal.segments()) ?? [] { unlink(journal.file(firstSequence: other)) }
        scratch.write(bytes, to: file)
    }

    var end: Int { get throws { (scratch.bytes(file).lastIndex { $0 != 0 } ?? 0) + 1 } }

    /// Reading gives a prefix of what was written; so does writing on after recovery.
    func expectPrefix(_ what: Comment) throws {
        let readout = Readout(directory)
        #expect(readout.texts == Array(texts.prefix(readout.texts.count)), what)
        if readout.texts.count < texts.count { #expect(readout.error != nil || readout.tornTail != nil, what) }
        do throws(JournalError) {
            let journal = try reopen()
            #expect(readout.error == nil, what)
            #expect(journal.lastSequence == UInt64(readout.texts.count), what)
            try journal.append("next")
            let again = Readout(directory)
            #expect(again.error == nil && again.tornTail == nil, what)
            #expect(again.texts == readout.texts + ["next"], what)
        } catch {
            #expect(readout.error == error, what)
            #expect(error.description.contains(directory), what)
        }
    }

    @Test(arguments: [false, true]) func everyFlippedByte(closed: Bool) throws {
        try make(close: closed)
        let whole = scratch.bytes(file)
        let used = try end
        let header = Array(0..<220) + [SegmentHeader.byteCount - 1]
        var found = 0
        for at in header + Array(SegmentHeader.byteCount..<used + 40) {
            for mask in [UInt8(0xFF), 0x01] {
                var bytes = whole
                bytes[at] ^= mask
                replace(bytes)
                let readout = Readout(directory)
                if readout.error != nil || readout.tornTail != nil { found += 1 }
                let isHint = (SegmentHeader.durableBytesAt..<SegmentHeader.zerosAt).contains(at)
                if at < used, !isHint {
                    #expect(readout.error != nil, "byte \(at)")
                    if case .corrupt(_, let offset, _) = readout.error { #expect(offset <= at, "byte \(at)") }
                }
                try expectPrefix("byte \(at) ^ \(mask)")
            }
        }
        #expect(found >= 2 * (used - SegmentHeader.byteCount))
    }

    @Test func everyTruncation() throws {
        try make(close: false)
        let whole = scratch.bytes(file)
        let used = try end
        for length in Array(0...200) + Array(SegmentHeader.byteCount - 8...used + 16) + [whole.count - 1] {
            replace(Array(whole.prefix(length)))
            let readout = Readout(directory)
            #expect(readout.texts == Array(texts.prefix(readout.texts.count)), "\(length) bytes")
            #expect(readout.error != nil, "\(length) bytes")
            if length > SegmentHeader.byteCount, case .corrupt(_, let offset, _) = readout.error {
                #expect(offset <= RecordHeader.padded(length), "\(length) bytes")
            }
            #expect(throws: JournalError.self, "\(length) bytes") { try reopen() }
        }
    }

    @Test func everyTornTail() throws {
        // A writer killed at any store: a part of the body is there, the commit word isn't.
        try make(close: false)
        let whole = scratch.bytes(file)
        let last = whole.count - whole.reversed().firstIndex { $0 != 0 }!
        let lastRecord =
            SegmentHeader.byteCount + texts.dropLast().reduce(0) { $0 + RecordHeader.padded(32 + $1.utf8.count) }
        for cut in lastRecord + 8...last {
            var bytes = whole
            for at in lastRecord..<lastRecord + 8 { bytes[at] = 0 }
            for at in cut..<max(cut, last) { bytes[at] = 0 }
            replace(bytes)
            let readout = Readout(directory)
            #expect(readout.error == nil)
            #expect(readout.texts == Array(texts.dropLast()))
            let garbage = bytes[lastRecord...].contains { $0 != 0 }
            #expect((readout.tornTail != nil) == garbage)
            if garbage { #expect(readout.tornTail?.offset == lastRecord) }
            let journal = try reopen()
            #expect(journal.recovery.cut == readout.tornTail)
            try journal.append("next")
            #expect(Readout(directory).texts == Array(texts.dropLast()) + ["next"])
        }
    }

    @Test func aRecordOfAnotherSegmentDoesNotPass() throws {
        // The same bytes at the same place of another journal: sequence, epoch and length all fit.
        try make(close: false)
        let other = scratch.path + "/other"
        do {
            let journal = try JournalWriter(directory: other, identity: "NeuralArb", epoch: 1, options: options)
            for text in texts { try journal.append(text.uppercased()) }
        }
        var bytes = scratch.bytes(file)
        let foreign = scratch.bytes(other + "/0000000000000001.journal")
        let first = SegmentHeader.byteCount..<SegmentHeader.byteCount + RecordHeader.padded(32 + texts[0].utf8.count)
        bytes.replaceSubrange(first, with: foreign[first])
        replace(bytes)
        guard case .corrupt(_, SegmentHeader.byteCount, _) = Readout(directory).error else {
            Issue.record("a foreign record was read")
            return
        }
    }

    @Test func aForgedRecordBreaksTheChain() throws {
        // Someone changes a record and repairs its checksum; the seal behind it tells.
        try make(close: true)
        var bytes = scratch.bytes(file)
        let at = SegmentHeader.byteCount
        bytes[at + 33] ^= 1
        bytes.withUnsafeMutableBytes { bytes in
            let seed = UnsafeRawBufferPointer(bytes).half(SegmentHeader.checkedBytes - 4)
            let length = UnsafeRawBufferPointer(bytes).half(at)
            let padded = RecordHeader.padded(Int(length))
            let crc = SegmentScanner.checksum(bytes.baseAddress! + at, length: length, padded: padded, seed: seed)
            bytes.storeBytes(of: crc, toByteOffset: at + 4, as: UInt32.self)
        }
        replace(bytes)
        guard case .corrupt(_, _, let problem) = Readout(directory).error else {
            Issue.record("a forged record was read")
            return
        }
        #expect(problem.contains("hash chain"))
    }

    @Test func aReplacedSegmentBreaksTheChain() throws {
        let small = JournalOptions(segmentBytes: 16 << 10)
        for (name, letter) in [("/journal", "a"), ("/other", "b")] {
            let journal = try JournalWriter(
                directory: scratch.path + name, identity: "NeuralArb", epoch: 1, options: small)
            for _ in 1...600 { try journal.append(String(repeating: letter, count: 20)) }
        }
        let directoryFiles = JournalDirectory(path: directory)
        let second = try directoryFiles.segments()[1]
        let from = JournalDirectory(path: scratch.path + "/other").file(firstSequence: second)
        scratch.write(scratch.bytes(from), to: directoryFiles.file(firstSequence: second))
        let readout = Readout(directory)
        #expect(readout.records.count == Int(second) - 1)
        guard case .corrupt(_, 72, _) = readout.error else {
            Issue.record("\(String(describing: readout.error))")
            return
        }
    }

    @Test func anOperatorMayCutDamage() throws {
        try make(close: false)
        var bytes = scratch.bytes(file)
        let third = SegmentHeader.byteCount + texts.prefix(2).reduce(0) { $0 + RecordHeader.padded(32 + $1.utf8.count) }
        bytes[third + 40] ^= 0x10
        replace(bytes)
        #expect(throws: JournalError.self) { try reopen() }
        let journal = try reopen(.cut)
        #expect(journal.recovery.lastSequence == 2)
        #expect(journal.recovery.cut?.offset == third)
        try journal.append("next")
        #expect(Readout(directory).texts == Array(texts.prefix(2)) + ["next"])
    }

    @Test func afterAPowerLossOnlyTheUnflushedTailIsCut() throws {
        try make(close: false)
        let whole = scratch.bytes(file)
        let third = SegmentHeader.byteCount + texts.prefix(2).reduce(0) { $0 + RecordHeader.padded(32 + $1.utf8.count) }
        // Another boot wrote last, and the third record's page was lost while later ones were kept.
        func lose(durable: Int) {
            var bytes = whole
            bytes[SegmentHeader.lastBootAt] ^= 0xFF
            for at in third..<third + 16 { bytes[at] = 0 }
            bytes.withUnsafeMutableBytes {
                $0.storeBytes(of: UInt64(durable), toByteOffset: SegmentHeader.durableBytesAt, as: UInt64.self)
            }
            replace(bytes)
        }
        lose(durable: third + 1)
        #expect(Readout(directory).error != nil)
        #expect(throws: JournalError.self) { try reopen() }
        lose(durable: third)
        let journal = try reopen()
        #expect(journal.recovery.lastSequence == 2)
        #expect(journal.recovery.cut?.offset == third)
        try journal.append("next")
        #expect(Readout(directory).texts == Array(texts.prefix(2)) + ["next"])
    }

    @Test func randomGarbageNeverCrashes() throws {
        try make(close: true)
        let whole = scratch.bytes(file)
        var random = SplitMix64(seed: 20_240_808)
        for _ in 1...300 {
            var bytes = whole
            for _ in 0..<Int(random.next() % 64) + 1 {
                bytes[Int(random.next() % UInt64(SegmentHeader.byteCount + 1_024))] = UInt8(
                    truncatingIfNeeded: random.next())
            }
            replace(bytes)
            let readout = Readout(directory)
            #expect(readout.texts == Array(texts.prefix(readout.texts.count)))
        }
    }
}
