import Foundation
import Testing
import Wire

@testable import Journal

/// A real file system without room.
@Suite(.enabled(if: TinyDisk.canMount, "needs to mount a tmpfs")) struct FullDiskTests {
    let options = JournalOptions(retention: .untilTrimmed, segmentBytes: 16 << 10)

    func open(_ disk: TinyDisk, epoch: UInt64) throws(JournalError) -> JournalWriter {
        try JournalWriter(directory: disk.path + "/journal", identity: "NeuralArb", epoch: epoch, options: options)
    }

    /// Appends until it fails; the error, and how many were appended.
    func fill(_ journal: JournalWriter) -> (error: JournalError?, count: UInt64) {
        while journal.lastSequence < 100_000 {
            do throws(JournalError) {
                try journal.append("record \(journal.lastSequence + 1) of some length")
                journal.prepareAhead()
            } catch {
                return (error, journal.lastSequence)
            }
        }
        return (nil, journal.lastSequence)
    }

    @Test func aFullDiskStopsTheWriterAndLosesNothing() throws {
        let disk = try TinyDisk(kilobytes: 96)
        let journal = try open(disk, epoch: 1)
        let (error, count) = fill(journal)
        guard case .system(_, _, ENOSPC, _) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(error!.description.contains("Free space"))
        #expect(count > 100)
        #expect(throws: error!) { try journal.append("not even a small one") }
        #expect(Readout(disk.path + "/journal").records.count == Int(count))
        // A new incarnation needs room too; without it nothing is changed.
        #expect(throws: JournalError.self) { try open(disk, epoch: 2) }
        #expect(Readout(disk.path + "/journal").records.count == Int(count))
        try disk.grow(kilobytes: 192)
        let next = try open(disk, epoch: 3)
        #expect(try next.append("goes on") == count + 1)
        let readout = Readout(disk.path + "/journal")
        #expect(readout.error == nil && readout.records.count == Int(count) + 1)
    }

    @Test func whatIsPreallocatedCanBeWrittenWhenNothingElseCan() throws {
        // A store into a mapping without blocks behind it would end the process with SIGBUS.
        let disk = try TinyDisk(kilobytes: 96)
        let journal = try open(disk, epoch: 1)
        try journal.append("first")
        try disk.fillUp()
        let (error, count) = fill(journal)
        guard case .system(_, _, ENOSPC, _) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        let bytes = Int(count) * RecordHeader.padded(RecordHeader.byteCount + 28)
        #expect(bytes > (16 << 10) - SegmentHeader.byteCount - 1_024, "the whole segment was used")
        let readout = Readout(disk.path + "/journal")
        #expect(readout.error == nil && readout.records.count == Int(count))
    }

    @Test func withPowerDurabilityItIsTheSame() throws {
        let disk = try TinyDisk(kilobytes: 64)
        let journal = try JournalWriter(
            directory: disk.path + "/journal", identity: "NeuralArb", epoch: 1,
            options: JournalOptions(durability: .power, retention: .untilTrimmed, segmentBytes: 16 << 10))
        try disk.fillUp()
        let (error, count) = fill(journal)
        #expect(error != nil && count > 100)
        #expect(throws: error!) { try journal.sync() }
        #expect(Readout(disk.path + "/journal").records.count == Int(count))
    }
}

/// A tmpfs of a few pages.
final class TinyDisk {
    let path: String
    private let scratch = Scratch()

    static let canMount: Bool = {
        guard let disk = try? TinyDisk(kilobytes: 16) else { return false }
        return !disk.path.isEmpty
    }()

    struct NotMounted: Error {}

    init(kilobytes: Int) throws {
        path = scratch.path + "/disk"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        try Self.run("mount", "-t", "tmpfs", "-o", "size=\(kilobytes)k", "tmpfs", path)
    }

    deinit {
        try? Self.run("umount", "-l", path)
    }

    func grow(kilobytes: Int) throws {
        try Self.run("mount", "-o", "remount,size=\(kilobytes)k", path)
    }

    /// Leaves not one page.
    func fillUp() throws {
        let file = open(path + "/filler", O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        defer { close(file) }
        let page = [UInt8](repeating: 1, count: 4_096)
        while write(file, page, page.count) == page.count {}
        #expect(errno == ENOSPC)
    }

    private static func run(_ command: String...) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = command
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw NotMounted() }
    }
}
