import CLinux
import Foundation
import Supervision
import Wire

/// What a successor of this supervisor has to know of one agent: which process is its own, and what was decided about it.
///
/// 512 bytes, so that one write in the page cache is whole or absent however the supervisor ends; a checksum tells what
/// is damaged all the same. All numbers little-endian.
struct LifeRecord: Equatable {
    enum Stage: UInt8 {
        /// Nothing of the incarnation is left.
        case gone = 0
        /// It is to be made, or lives, or its end is not on record yet. Its pid is in the `Birth`.
        case alive = 1
        /// The leader's end is on record; what it left behind was not verified to be gone.
        case clearing = 2
    }

    static let byteCount = 512
    /// Restarts in the window that are remembered; of a longer window the oldest are forgotten.
    static let maxRestartTimes = 32
    private static let groupAt = 392
    private static let magic: UInt64 = 0x3130_4546_494C_5051  // "QPLIFE01"
    private static let stampAt = 376
    private static let crcAt = 504

    var moment: Moment
    var stage = Stage.gone
    var incarnation: UInt64 = 0
    var isReady = false
    /// Its READY may have come while no supervisor listened.
    var mayHaveSpoken = false
    var spawnedAt = Instant.zero
    var launchFingerprint: UInt64 = 0
    /// `ExecutableStamp.digest` of its program at its start; 0: not known.
    var programStamp: UInt64 = 0
    var memory: AgentMemory
    /// Digest of the name of ``AgentMemory/culprit``, which a record has no room for; 0: nobody.
    var culpritDigest: UInt64 = 0

    static func digest(of culprit: AgentID?) -> UInt64 { culprit.map { fnv1a64($0.name.utf8) } ?? 0 }

    /// Where a pid and a monotonic time mean something: this boot, this pid namespace.
    struct Moment: Equatable, Sendable {
        var boot: [UInt8]
        var pidNamespace: UInt64

        /// The present one.
        static func now() -> Moment {
            let text = readSmallFile("/proc/sys/kernel/random/boot_id") ?? []
            var boot = Array(text.filter { $0 != UInt8(ascii: "-") && $0 != 10 }.prefix(32))
            boot += [UInt8](repeating: 0, count: 32 - boot.count)
            var info = stat()
            let namespace = stat("/proc/self/ns/pid", &info) == 0 ? UInt64(info.st_ino) : 0
            return Moment(boot: boot, pidNamespace: namespace)
        }
    }

    var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.byteCount)
        func word(_ value: UInt64) { withUnsafeBytes(of: value.littleEndian) { bytes += $0 } }
        word(Self.magic)
        bytes += moment.boot
        word(moment.pidNamespace)
        word(incarnation)
        bytes += [stage.rawValue, isReady ? 1 : 0, Self.code(memory.standing), memory.isRestarting ? 1 : 0]
        bytes += [Self.code(memory.failure), mayHaveSpoken ? 1 : 0, memory.isDisabling ? 1 : 0, groupCode]
        word(UInt64(bitPattern: spawnedAt.nanoseconds))
        word(launchFingerprint)
        word(memory.lastIncarnation.number)
        word(memory.restarts)
        word(UInt64(memory.attempt))
        word(UInt64(bitPattern: memory.nextStart?.nanoseconds ?? 0))
        let times = memory.restartTimes.suffix(Self.maxRestartTimes)
        word(UInt64(times.count))
        for time in times { word(UInt64(bitPattern: time.nanoseconds)) }
        bytes += [UInt8](repeating: 0, count: Self.stampAt - bytes.count)
        word(programStamp)
        word(UInt64(bitPattern: memory.startDeadline?.nanoseconds ?? 0))
        word(memory.culprit == nil ? culpritDigest : Self.digest(of: memory.culprit))
        let groupTimes = memory.groupRestartTimes.suffix(Bounds.rememberedGroupRestarts)
        word(UInt64(groupTimes.count))
        for time in groupTimes { word(UInt64(bitPattern: time.nanoseconds)) }
        bytes += [UInt8](repeating: 0, count: Self.crcAt - bytes.count)
        let crc = bytes.withUnsafeBytes { qp_crc32c(0, $0.baseAddress, $0.count) }
        word(UInt64(crc))
        return bytes
    }

    /// nil: damaged, or of another version.
    init?(_ bytes: some Collection<UInt8>, of id: AgentID) {
        let bytes = Array(bytes)
        guard bytes.count == Self.byteCount else { return nil }
        func word(_ at: Int) -> UInt64 {
            bytes.withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(fromByteOffset: at, as: UInt64.self)) }
        }
        let crc = bytes.withUnsafeBytes { qp_crc32c(0, $0.baseAddress, Self.crcAt) }
        guard word(Self.crcAt) == UInt64(crc), word(0) == Self.magic, let stage = Stage(rawValue: bytes[56]),
            let standing = Self.standing(bytes[58])
        else { return nil }
        moment = Moment(boot: Array(bytes[8..<40]), pidNamespace: word(40))
        incarnation = word(48)
        self.stage = stage
        isReady = bytes[57] == 1
        spawnedAt = Instant(nanoseconds: Int64(bitPattern: word(64)))
        launchFingerprint = word(72)
        memory = AgentMemory(
            id: id, lastIncarnation: Incarnation(word(80)), restarts: word(88), standing: standing)
        mayHaveSpoken = bytes[61] == 1
        programStamp = word(Self.stampAt)
        memory.isRestarting = bytes[59] == 1
        memory.failure = Self.failure(bytes[60])
        memory.isDisabling = bytes[62] == 1
        memory.attempt = UInt32(clamping: word(96))
        let startDeadline = word(Self.stampAt + 8)
        memory.startDeadline = startDeadline == 0 ? nil : Instant(nanoseconds: Int64(bitPattern: startDeadline))
        memory.nextStart = word(104) == 0 ? nil : Instant(nanoseconds: Int64(bitPattern: word(104)))
        let count = word(112)
        guard count <= UInt64(Self.maxRestartTimes) else { return nil }
        memory.restartTimes = (0..<Int(count)).map { Instant(nanoseconds: Int64(bitPattern: word(120 + 8 * $0))) }
        // What a supervisor wrote that knew no groups in its records is 0.
        memory.groupPart = GroupPart(rawValue: bytes[63] & 3) ?? .none
        memory.isRejoining = bytes[63] & Self.rejoining != 0
        culpritDigest = word(Self.groupAt)
        let falls = word(Self.groupAt + 8)
        guard falls <= UInt64(Bounds.rememberedGroupRestarts) else { return nil }
        memory.groupRestartTimes = (0..<Int(falls)).map {
            Instant(nanoseconds: Int64(bitPattern: word(Self.groupAt + 16 + 8 * $0)))
        }
    }

    private static let rejoining: UInt8 = 4
    private var groupCode: UInt8 { memory.groupPart.rawValue | (memory.isRejoining ? Self.rejoining : 0) }

    init(moment: Moment, memory: AgentMemory) {
        self.moment = moment
        self.memory = memory
    }

    /// Their places are part of the format. 0: none, and what a supervisor wrote that did not tell.
    private static let failures: [FailureReason?] = [
        nil, .tooManyRestarts, .tooManyGroupRestarts, .misconfigured, .rejectedConfiguration, .cannotExecute,
        .survivors,
    ]
    private static func code(_ failure: FailureReason?) -> UInt8 { UInt8(failures.firstIndex(of: failure) ?? 0) }
    private static func failure(_ code: UInt8) -> FailureReason? {
        failures.indices.contains(Int(code)) ? failures[Int(code)] : nil
    }

    /// Their places are part of the format.
    private static let standings: [AgentMemory.Standing] = [
        .wanted, .stoppedByOperator, .failed, .done, .escalated, .leftByGroup,
    ]
    private static func code(_ standing: AgentMemory.Standing) -> UInt8 {
        UInt8(standings.firstIndex(of: standing) ?? 0)
    }
    private static func standing(_ code: UInt8) -> AgentMemory.Standing? {
        standings.indices.contains(Int(code)) ? standings[Int(code)] : nil
    }
}

/// What a new-born process writes about itself behind the `LifeRecord`, before it executes anything of the agent's
/// (`struct qp_birth`): so its identity is on record whenever its supervisor dies.
struct Birth: Equatable {
    var incarnation: UInt64
    var pid: pid_t
    var startTicks: UInt64

    /// nil: never written, or not whole.
    init?(_ bytes: some Collection<UInt8>) {
        let bytes = Array(bytes)
        guard bytes.count == MemoryLayout<qp_birth>.size else { return nil }
        var birth = qp_birth()
        withUnsafeMutableBytes(of: &birth) { $0.copyBytes(from: bytes) }
        guard qp_birth_is_whole(&birth) == 1 else { return nil }
        incarnation = birth.incarnation
        pid = birth.pid
        startTicks = birth.start_ticks
    }
}
