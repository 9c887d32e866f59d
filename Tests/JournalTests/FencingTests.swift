import Foundation
import Glibc
import Testing
import Wire

@testable import Journal

/// A journal has one writer: the incarnation that claimed it last, whatever its predecessors were in the middle of.
@Suite struct FencingTests {
    let scratch = Scratch()
    var directory: String { scratch.path + "/journal" }
    let small = JournalOptions(segmentBytes: 16 << 10, maxTotalBytes: 1 << 30)

    func writer(_ epoch: UInt64) throws(JournalError) -> JournalWriter {
        try JournalWriter(directory: directory, identity: "NeuralArb", epoch: epoch, options: small)
    }

    func expectFenced(_ by: UInt64, _ epoch: UInt64, _ body: () throws(JournalError) -> Void) {
        do throws(JournalError) {
            try body()
            Issue.record("not fenced")
        } catch {
            #expect(error == .fenced(directory: directory, epoch: epoch, by: by))
        }
    }

    @Test func aSuccessorReplacesAWriterAtOnce() throws {
        let zombie = try writer(1)
        try zombie.append("one")
        let successor = try writer(2)
        expectFenced(2, 1) { () throws(JournalError) in try zombie.confirm() }
        expectFenced(2, 1) { () throws(JournalError) in try zombie.append("late") }
        expectFenced(2, 1) { () throws(JournalError) in try zombie.close() }
        #expect(try successor.append("two") == 2)
        #expect(Readout(directory).texts == ["one", "two"])
        #expect(try JournalReader.segments(in: directory) == [1, 2])
    }

    @Test func whatAZombieWasWritingIsNotRead() throws {
        // It had passed every check but the last: the record is stored, and the claim is gone.
        let zombie = try writer(1)
        try zombie.append("one")
        let successor = try writer(2)
        expectFenced(2, 1) { () throws(JournalError) in try zombie.append("late") }
        #expect(Readout(directory).texts == ["one"])
        try successor.append("two")
        try successor.append("three")
        let third = try writer(3)
        #expect(third.recovery.lastSequence == 3)
        try third.append("four")
        let readout = Readout(directory)
        #expect(readout.texts == ["one", "two", "three", "four"])
        #expect(readout.error == nil && readout.tornTail == nil)
        #expect(readout.records.map(\.epoch) == [1, 2, 2, 3])
    }

    @Test func aLowerEpochIsRefusedAndChangesNothing() throws {
        let journal = try writer(7)
        try journal.append("one")
        expectFenced(7, 6) { () throws(JournalError) in _ = try writer(6) }
        try journal.append("two")
        #expect(Readout(directory).texts == ["one", "two"])
    }

    @Test func theSameEpochTwiceIsTheLaterOnes() throws {
        let first = try writer(1)
        try first.append("one")
        let second = try writer(1)
        expectFenced(1, 1) { () throws(JournalError) in try first.append("late") }
        try second.append("two")
        #expect(Readout(directory).texts == ["one", "two"])
    }

    @Test func incarnationsThatWroteNothingLeaveNothing() throws {
        for epoch in UInt64(1)...20 { _ = try writer(epoch) }
        #expect(try JournalReader.segments(in: directory) == [1])
        let journal = try writer(21)
        try journal.append("one")
        for epoch in UInt64(22)...30 { _ = try writer(epoch) }
        #expect(try JournalReader.segments(in: directory) == [1, 2])
        #expect(Readout(directory).texts == ["one"])
    }

    @Test func aZombieInTheMiddleOfANewSegmentTakesNoName() throws {
        let zombie = try writer(1)
        while try JournalReader.segments(in: directory).count < 2 { try zombie.append("some record or other") }
        // Its next segment is prepared, and it fills the current one to the brim.
        let perSegment = try JournalReader.segments(in: directory)[1] - 1
        while zombie.lastSequence < 2 * perSegment - 20 { try zombie.append("some record or other") }
        zombie.prepareAhead()
        let successor = try writer(2)
        for _ in 1...50 { _ = try? zombie.append("late, and again") }
        try successor.append("two")
        let readout = Readout(directory)
        #expect(readout.error == nil)
        #expect(readout.texts.last == "two")
        #expect(!readout.texts.contains("late, and again"))
        #expect(spares.isEmpty)
    }

    /// Stopped in the middle of opening, before it makes its segment or right after; its successor opens and appends before
    /// it goes on.
    @Test(arguments: [true, false]) func aZombieThatWasOpeningTakesNoName(isBefore: Bool) throws {
        try writer(1).append("one")
        let succeed: @Sendable () -> Void = { [directory, small] in
            let successor = try? JournalWriter(directory: directory, identity: "NeuralArb", epoch: 3, options: small)
            _ = try? successor?.append("three's")
        }
        var system = JournalSystem()
        if isBefore {
            system.bootedAt = {
                succeed()
                return ClockAnchor.bootedAt()
            }
        } else {
            system.allocate = { file, bytes in
                succeed()
                return posix_fallocate(file, 0, off_t(bytes))
            }
        }
        expectFenced(3, 2) { () throws(JournalError) in
            _ = try JournalWriter(
                directory: directory, identity: "NeuralArb", epoch: 2, options: small, system: system,
                anchor: { ClockAnchor.now() })
        }
        #expect(Readout(directory).texts == ["one", "three's"])
        #expect(try writer(4).recovery.lastSequence == 2)
    }

    /// A zombie that clears up what earlier claims have left leaves alone what later ones prepare.
    @Test func aZombieRemovesNoSpareOfItsSuccessor() throws {
        let zombie = try writer(1)
        try zombie.append("one")
        let successor = try writer(2)
        while try JournalReader.segments(in: directory).count < 3 { try successor.append("some record or other") }
        while !spares.contains(where: { $0.hasPrefix("spare-") }) {
            try successor.append("some record or other")
            successor.prepareAhead()
        }
        let prepared = spares
        try makeDirectory(scratch.path + "/another")
        let claim = try JournalClaim(directory: scratch.path + "/another", epoch: 1)
        try JournalDirectory(path: directory).removeSpares(before: claim)
        #expect(spares == prepared)
    }

    var spares: [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
        return names.filter { $0.hasPrefix("spare") }
    }

    @Test func aFlippedByteOfAnEarlierIncarnationIsFound() throws {
        for epoch in UInt64(1)...2 {
            let journal = try writer(epoch)
            for number in 1...5 { try journal.append("record \(number)") }
        }
        let file = directory + "/0000000000000001.journal"
        let whole = scratch.bytes(file)
        let used = SegmentHeader.byteCount + 5 * RecordHeader.padded(32 + 8)
        for at in SegmentHeader.byteCount..<used {
            var bytes = whole
            bytes[at] ^= 0x11
            scratch.write(bytes, to: file)
            let readout = Readout(directory)
            #expect(readout.error != nil, "byte \(at)")
            #expect(readout.records.count < 5, "byte \(at)")
        }
    }

    /// Real processes: each is stopped in the middle of appending, replaced, and woken up while its successor writes.
    @Test func stoppedProcessesThatWakeUpAreFenced() throws {
        try rehearseChild()
        var zombies: [(pid: pid_t, report: Int32)] = []
        defer {
            for zombie in zombies {
                kill(zombie.pid, SIGKILL)
                waitpid(zombie.pid, nil, 0)
            }
        }
        for epoch in UInt64(1)...8 {
            var pipe: [Int32] = [0, 0]
            #expect(Glibc.pipe(&pipe) == 0)
            // Else what another test starts would hold it open.
            _ = fcntl(pipe[1], F_SETFD, FD_CLOEXEC)
            let child = forkAlone(keeping: pipe[1])
            if child == 0 { Self.appendUntilFenced(directory, epoch: epoch, report: pipe[1]) }
            close(pipe[1])
            zombies.append((child, pipe[0]))
            var sequence: UInt64 = 0
            for _ in 1...100 { #expect(read(pipe[0], &sequence, 8) == 8) }
            kill(child, SIGSTOP)
            var status: Int32 = 0
            waitpid(child, &status, WUNTRACED)
        }
        let last = try writer(9)
        var acted: [UInt64] = []
        for zombie in zombies {
            kill(zombie.pid, SIGCONT)
            for _ in 1...50 { try last.append("the last one's") }
            var sequence: UInt64 = 0
            while read(zombie.report, &sequence, 8) == 8 { acted.append(sequence) }
            var status: Int32 = 0
            waitpid(zombie.pid, &status, 0)
            // 42: it was told that it is fenced.
            #expect((status >> 8) & 0xFF == 42)
        }
        zombies = []
        let readout = Readout(directory)
        #expect(readout.error == nil)
        #expect(readout.records.map(\.sequence) == Array(1...UInt64(readout.records.count)))
        #expect(readout.records.map(\.epoch) == readout.records.map(\.epoch).sorted())
        // What a process acted on after an append is in the journal, as its own.
        let epochs = Set(readout.records.map(\.epoch))
        #expect(epochs == Set(1...9))
        for record in readout.records where record.epoch < 9 {
            #expect(String(decoding: record.payload, as: UTF8.self) == "of \(record.epoch)")
        }
        #expect(acted.allSatisfy { $0 <= UInt64(readout.records.count) - 400 })
    }

    private static func appendUntilFenced(_ directory: String, epoch: UInt64, report: Int32) -> Never {
        let options = JournalOptions(segmentBytes: 16 << 10, maxTotalBytes: 1 << 30)
        do throws(JournalError) {
            let journal = try JournalWriter(
                directory: directory, identity: "NeuralArb", epoch: epoch, options: options)
            while true {
                var sequence = try journal.append("of \(epoch)")
                if write(report, &sequence, 8) != 8 { _exit(3) }
            }
        } catch {
            if case .fenced = error { _exit(42) }
            _exit(1)
        }
    }
}
