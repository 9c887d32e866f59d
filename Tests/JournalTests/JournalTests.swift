import CLinux
import Foundation
import Testing
import Wire

@testable import Journal

@Suite struct JournalTests {
    let scratch = Scratch()
    var directory: String { scratch.path + "/journal" }
    let small = JournalOptions(segmentBytes: 16 << 10)

    func writer(_ options: JournalOptions? = nil, epoch: UInt64 = 1) throws(JournalError) -> JournalWriter {
        try JournalWriter(directory: directory, identity: "NeuralArb", epoch: epoch, options: options ?? small)
    }

    @Test func checksumIsCastagnoliByInstructionAndByTable() {
        let check = Array("123456789".utf8)
        #expect(qp_crc32c(0, check, check.count) == 0xE306_9283)  // RFC 3720's polynomial, the usual check value
        let bytes = (0..<1_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        for count in [0, 1, 7, 8, 9, 63, 64, 65, 999] {
            #expect(qp_crc32c(7, bytes, count) == qp_crc32c_portable(7, bytes, count))
        }
    }

    @Test func chainIsSHA256() {
        var chain = [UInt8]("abc".utf8).withUnsafeBytes { HashChain(segmentHeader: $0) }
        var first = [UInt8](repeating: 0, count: 32)
        first.withUnsafeMutableBytes { chain.link.write(to: $0.baseAddress!) }
        #expect(first.map { String(format: "%02x", $0) }.joined().hasPrefix("ba7816bf8f01cfea"))
        let link = chain.link
        chain.seal()
        #expect(chain.link != link)
    }

    @Test func whatIsAppendedIsReadBack() throws {
        let journal = try writer()
        for number in 1...700 { #expect(try journal.append("record \(number)") == UInt64(number)) }
        try journal.append("")
        let readout = Readout(directory, identity: "NeuralArb")
        #expect(readout.error == nil && readout.tornTail == nil)
        #expect(readout.texts == (1...700).map { "record \($0)" } + [""])
        #expect(readout.records.map(\.sequence) == Array(1...701))
        #expect(readout.records.allSatisfy { $0.epoch == 1 && $0.type == .sentFrame })
        #expect(readout.records[0].anchor.bootID == .current)
        #expect(try JournalDirectory(path: directory).segments().count > 1)
    }

    @Test func aMissingDirectoryIsAnEmptyJournal() {
        #expect(Readout(directory).records.isEmpty)
        #expect(Readout(directory).error == nil)
    }

    @Test func aSecondIncarnationGoesOn() throws {
        do {
            let journal = try writer(epoch: 3)
            try journal.append("one")
            try journal.close()
        }
        let journal = try writer(epoch: 4)
        #expect(journal.recovery == JournalRecovery(lastSequence: 1, lastEpoch: 3, cut: nil))
        #expect(try journal.append("two") == 2)
        let readout = Readout(directory)
        #expect(readout.texts == ["one", "two"])
        #expect(readout.records.map(\.epoch) == [3, 4])
    }

    @Test func aReaderFollowsALiveWriterAcrossSegments() throws {
        let journal = try writer()
        var reader = JournalReader(directory: directory)
        #expect(try reader.next() == nil)
        var seen: [UInt64] = []
        for number in 1...2_000 {
            try journal.append("record \(number)")
            if number % 7 == 0 { journal.prepareAhead() }
            if number % 3 == 0 { while let record = try reader.next() { seen.append(record.sequence) } }
        }
        while let record = try reader.next() { seen.append(record.sequence) }
        #expect(seen == Array(1...2_000))
    }

    @Test func aClosedWriterRefuses() throws {
        let journal = try writer()
        try journal.close()
        #expect(throws: JournalError.closed(directory: directory)) { try journal.append("late") }
    }

    @Test func otherIdentityAndOtherVersionAreRefused() throws {
        do {
            let journal = try writer()
            try journal.append("one")
        }
        #expect(throws: JournalError.self) {
            try JournalWriter(directory: directory, identity: "Other", epoch: 1, options: small)
        }
        let file = directory + "/0000000000000001.journal"
        guard case .identity(_, "NeuralArb", "Other") = Readout(directory, identity: "Other").error else {
            Issue.record("another identity was read")
            return
        }
        var bytes = scratch.bytes(file)
        bytes[8] = 9
        scratch.write(bytes, to: file)
        #expect(Readout(directory).error == .version(file: file, found: 9))
        #expect(throws: JournalError.version(file: file, found: 9)) { try writer() }
        #expect(JournalError.version(file: file, found: 9).description.contains("move the journal away"))
    }

    @Test func tooLongIsRefusedAndTheNextRecordIsFine() throws {
        let journal = try writer()
        let long = [UInt8](repeating: 7, count: journal.maxPayloadBytes + 1)
        #expect(throws: JournalError.recordTooLong(bytes: long.count, most: journal.maxPayloadBytes)) {
            try long.withUnsafeBytes { try journal.append(.sentFrame, $0) }
        }
        try long.dropLast().withUnsafeBytes { _ = try journal.append(.sentFrame, $0) }
        try journal.append("two")
        #expect(Readout(directory).records.map(\.payload.count) == [journal.maxPayloadBytes, 3])
    }

    @Test func aMissingSegmentIsAGap() throws {
        let journal = try writer()
        for number in 1...1_000 { try journal.append("record \(number)") }
        let segments = try JournalDirectory(path: directory).segments()
        try #require(segments.count >= 3)
        let second = JournalDirectory(path: directory).file(firstSequence: segments[1])
        let third = JournalDirectory(path: directory).file(firstSequence: segments[2])
        try FileManager.default.removeItem(atPath: second)
        let readout = Readout(directory)
        #expect(readout.records.count == Int(segments[1]) - 1)
        #expect(readout.error == .gap(file: third, expected: segments[1], found: segments[2]))
    }

    @Test func aRingDropsTheOldestSegments() throws {
        let options = JournalOptions(retention: .ring, segmentBytes: 16 << 10, maxTotalBytes: 48 << 10)
        let journal = try writer(options)
        for number in 1...3_000 {
            try journal.append("record \(number)")
            journal.prepareAhead()
        }
        #expect(try JournalDirectory(path: directory).segments().count == 3)
        let readout = Readout(directory)
        #expect(readout.error == nil)
        #expect(readout.records.last?.sequence == 3_000)
        #expect(readout.records.first!.sequence > 1)
    }

    @Test func untilTrimmedKeepsWhatIsNotAcknowledged() throws {
        let options = JournalOptions(retention: .untilTrimmed, segmentBytes: 16 << 10, maxTotalBytes: 32 << 10)
        let journal = try writer(options)
        var full: JournalError?
        while full == nil {
            do { try journal.append("some record or other") } catch { full = error }
        }
        guard case .full(_, 32_768, 0) = full else {
            Issue.record("\(String(describing: full))")
            return
        }
        let last = journal.lastSequence
        journal.trim(upTo: last / 4)
        #expect(throws: JournalError.self) { try journal.append("still full") }
        journal.trim(upTo: last)
        #expect(try journal.append("goes on") == last + 1)
        #expect(Readout(directory).error == nil)
    }

    @Test(arguments: [ENOSPC, EIO, EDQUOT]) func aFailedAllocationPoisonsTheWriter(code: Int32) throws {
        let fail = Flag()
        let journal = try faulty(JournalSystem(allocate: { fail.isSet ? code : posix_fallocate($0, 0, off_t($1)) }))
        try journal.append("one")
        fail.isSet = true
        var failure: JournalError?
        while failure == nil {
            do { try journal.append("some record or other") } catch { failure = error }
        }
        guard case .system(_, _, code, _) = failure else {
            Issue.record("\(String(describing: failure))")
            return
        }
        fail.isSet = false
        let last = journal.lastSequence
        #expect(throws: failure!) { try journal.append("never again") }
        #expect(Readout(directory).records.last?.sequence == last)
    }

    @Test func aFailedFlushPoisonsTheWriter() throws {
        let fail = Flag()
        let options = JournalOptions(durability: .power, segmentBytes: 16 << 10)
        let journal = try faulty(JournalSystem(sync: { _ in fail.isSet ? EIO : 0 }), options)
        try journal.append("one")
        #expect(journal.durableSequence == 0)
        try journal.sync()
        #expect(journal.durableSequence == 1)
        try journal.append("two")
        fail.isSet = true
        #expect(throws: JournalError.self) { try journal.sync() }
        fail.isSet = false
        #expect(throws: JournalError.self) { try journal.sync() }
        #expect(throws: JournalError.self) { try journal.append("three") }
        #expect(journal.durableSequence == 1)
    }

    func faulty(_ system: JournalSystem, _ options: JournalOptions? = nil) throws(JournalError) -> JournalWriter {
        try JournalWriter(
            directory: directory, identity: "NeuralArb", epoch: 1, options: options ?? small, system: system,
            anchor: { ClockAnchor.now() })
    }

    /// Switched by one test's thread.
    final class Flag: @unchecked Sendable {
        var isSet = false
    }

    @Test func aKilledWriterLosesNothing() throws {
        // A child that appends for ever is killed in the middle of it, again and again.
        try rehearseChild()
        for round in 1...5 {
            let before = Readout(directory).records.count
            var pipe: [Int32] = [0, 0]
            #expect(Glibc.pipe(&pipe) == 0)
            // Else what another test starts would hold it open.
            _ = fcntl(pipe[1], F_SETFD, FD_CLOEXEC)
            let child = forkAlone(keeping: pipe[1])
            if child == 0 { Self.appendForEver(directory, epoch: UInt64(round), report: pipe[1]) }
            close(pipe[1])
            // Each number that came through the pipe was appended before it was written there.
            var acknowledged: UInt64 = 0
            while acknowledged < UInt64(before + 200) {
                guard read(pipe[0], &acknowledged, 8) == 8 else { break }
            }
            kill(child, SIGKILL)
            while read(pipe[0], &acknowledged, 8) == 8 {}
            close(pipe[0])
            waitpid(child, nil, 0)
            let readout = Readout(directory)
            #expect(readout.error == nil)
            #expect(UInt64(readout.records.count) >= acknowledged && acknowledged > UInt64(before))
            #expect(readout.records.map(\.sequence) == Array(1...UInt64(readout.records.count)))
        }
        let journal = try JournalWriter(directory: directory, identity: "NeuralArb", epoch: 9, options: small)
        #expect(journal.recovery.lastEpoch == 5)
    }

    private static func appendForEver(_ directory: String, epoch: UInt64, report: Int32) -> Never {
        let options = JournalOptions(segmentBytes: 16 << 10, maxTotalBytes: 1 << 30)
        guard
            let journal = try? JournalWriter(
                directory: directory, identity: "NeuralArb", epoch: epoch, options: options)
        else { _exit(1) }
        while true {
            guard var sequence = try? journal.append("a record of some length \(journal.lastSequence)") else {
                _exit(2)
            }
            if write(report, &sequence, 8) != 8 { _exit(3) }
        }
    }
}
