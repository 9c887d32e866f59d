import CLinux
import Foundation
import Supervision
import Testing
import Wire

@testable import Host

@Suite struct LifeRecordTests {
    private var record: LifeRecord {
        var memory = AgentMemory(id: "Gate", lastIncarnation: 12, restarts: 4, standing: .stoppedByOperator)
        memory.isRestarting = true
        memory.isDisabling = true
        memory.attempt = 3
        memory.restartTimes = (1...5).map { Instant(nanoseconds: $0 * 1_000) }
        memory.nextStart = Instant(nanoseconds: 77)
        memory.startDeadline = Instant(nanoseconds: 78)
        memory.groupPart = .fallen
        memory.isRejoining = true
        memory.groupRestartTimes = (1...5).map { Instant(nanoseconds: $0 * 2_000) }
        var record = LifeRecord(moment: .now(), memory: memory)
        record.stage = .clearing
        record.incarnation = 12
        record.isReady = true
        record.spawnedAt = Instant(nanoseconds: 5)
        record.launchFingerprint = .max
        record.programStamp = .max - 1
        record.mayHaveSpoken = true
        record.culpritDigest = 99
        return record
    }

    @Test("survives its bytes; any changed byte or a cut is damage")
    func bytes() {
        let bytes = record.bytes
        #expect(bytes.count == LifeRecord.byteCount)
        #expect(LifeRecord(bytes, of: "Gate") == record)
        for index in bytes.indices {
            var bad = bytes
            bad[index] ^= 0x10
            let isPadding = index >= 508
            #expect(LifeRecord(bad, of: "Gate") == nil || isPadding, "byte \(index)")
        }
        for count in stride(from: 0, to: bytes.count, by: 7) { #expect(LifeRecord(bytes[..<count], of: "Gate") == nil) }
    }

    @Test("why it failed is on record; what an older supervisor wrote does not tell", arguments: FailureReason.allCases)
    func failure(reason: FailureReason) {
        var record = record
        record.memory.standing = .failed
        #expect(LifeRecord(record.bytes, of: "Gate")?.memory.failure == nil)
        record.memory.failure = reason
        #expect(LifeRecord(record.bytes, of: "Gate")?.memory.failure == reason)
    }

    @Test("who was given up is found by the digest of its name", arguments: AgentMemory.Standing.allCases)
    func culprit(standing: AgentMemory.Standing) {
        var record = record
        record.memory.standing = standing
        record.memory.culprit = "Guardian.ai"
        let read = LifeRecord(record.bytes, of: "Gate")
        #expect(read?.memory.standing == standing && read?.culpritDigest == LifeRecord.digest(of: "Guardian.ai"))
        record.memory.culprit = nil
        record.culpritDigest = 0
        #expect(LifeRecord(record.bytes, of: "Gate")?.culpritDigest == LifeRecord.digest(of: nil))
    }

    @Test("of a longer window the last restarts are remembered")
    func window() {
        var record = record
        record.memory.restartTimes = (1...100).map { Instant(nanoseconds: $0) }
        let read = LifeRecord(record.bytes, of: "Gate")
        #expect(read?.memory.restartTimes == (69...100).map { Instant(nanoseconds: $0) })
    }

    @Test("only exactly the process that wrote its birth is proven: not a recycled pid, not a dead one")
    func identity() throws {
        let own = try #require(ProcessTable.row(of: getpid()))
        func birth(_ pid: pid_t, _ ticks: UInt64) throws -> Birth {
            var raw = qp_birth()
            raw.magic = QP_BIRTH_MAGIC
            raw.incarnation = 1
            raw.pid = pid
            raw.start_ticks = ticks
            let start = MemoryLayout<qp_birth>.offset(of: \.incarnation)!
            raw.crc = withUnsafeBytes(of: &raw) { qp_crc32c(0, $0.baseAddress! + start, $0.count - start) }
            return try #require(withUnsafeBytes(of: &raw) { Birth(Array($0)) })
        }
        #expect(Inheritance.proven(try birth(getpid(), own.startTicks)) != nil)
        #expect(Inheritance.proven(try birth(getpid(), own.startTicks - 1)) == nil, "the pid was given to another")
        #expect(Inheritance.proven(try birth(getpid(), 0)) == nil, "the kernel did not tell the start")
        let child = Process()
        child.executableURL = URL(fileURLWithPath: "/bin/true")
        try child.run()
        let ticks = ProcessTable.row(of: child.processIdentifier)?.startTicks ?? 1
        child.waitUntilExit()
        #expect(Inheritance.proven(try birth(child.processIdentifier, ticks)) == nil)
    }
}
