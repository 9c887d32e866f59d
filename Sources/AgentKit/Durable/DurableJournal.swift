import Delivery
import FoundationEssentials
import Glibc
import Journal
import Wire

/// What a durable agent's shell writes down, and when a snapshot is due. Used by the shell's thread only.
final class DurableJournal {
    private let writer: JournalWriter
    let context: ReplayContext
    let isPower: Bool
    /// Latest time that the agent was given.
    private(set) var lastNow: Instant
    private var inputsSinceSnapshot: UInt64 = 0
    private var bytesSinceSnapshot = 0
    private var snapshotBytes = 0
    private let mostBytesPerSnapshot: Int
    /// Something was appended since the last `sync`.
    private(set) var hasNews = false

    init(writer: JournalWriter, context: ReplayContext, isPower: Bool, lastNow: Instant, totalBytes: Int) {
        mostBytesPerSnapshot = DurableLimits.mostBytesPerSnapshot(journal: totalBytes)
        self.writer = writer
        self.context = context
        self.isPower = isPower
        self.lastNow = lastNow
    }

    /// The time to give to the agent: never before that of an earlier event.
    func stamp(_ now: Instant) -> Instant {
        lastNow = max(lastNow, now)
        return lastNow
    }

    /// Before the agent is given the event. `frame`: of a message, header and payload.
    func append(_ input: InputRecord, _ frame: UnsafeRawBufferPointer) throws {
        try explained { () throws(JournalError) in
            try input.withBytes { (head) throws(JournalError) in _ = try writer.append(.input, head, frame) }
        }
        inputsSinceSnapshot += 1
        note(InputRecord.byteCount + frame.count)
    }

    /// Before a message is sent.
    func append(sent frame: Frame) throws {
        try frame.bytes.withUnsafeBytes { bytes in
            try explained { () throws(JournalError) in _ = try writer.append(.sentFrame, bytes) }
        }
        note(frame.bytes.count)
    }

    func append(_ position: PositionRecord) throws {
        let bytes = position.bytes
        try bytes.withUnsafeBytes { bytes in
            try explained { () throws(JournalError) in _ = try writer.append(.position, bytes) }
        }
        note(bytes.count)
    }

    /// What consumers have acknowledged. Losing it costs sending again, so that nothing waits for its way to the disk.
    func append(_ acknowledged: AcknowledgedRecord) throws {
        let bytes = acknowledged.bytes
        try bytes.withUnsafeBytes { bytes in
            try explained { () throws(JournalError) in _ = try writer.append(.acknowledged, bytes) }
        }
    }

    private func note(_ bytes: Int) {
        bytesSinceSnapshot += bytes
        hasNews = true
    }

    var isSnapshotDue: Bool {
        guard bytesSinceSnapshot >= min(snapshotBytes, mostBytesPerSnapshot) else { return false }
        return inputsSinceSnapshot >= DurableLimits.inputsPerSnapshot
            || bytesSinceSnapshot >= DurableLimits.bytesPerSnapshot
    }

    func postponeSnapshot() {
        inputsSinceSnapshot = 0
        bytesSinceSnapshot = 0
    }

    /// Appends a snapshot; what is before it is not needed any more.
    func append(_ snapshot: DurableSnapshot) throws {
        let bytes = try snapshot.encoded()
        var first: UInt64 = 0
        try explained { () throws(JournalError) in first = try writer.appendSnapshot(bytes) }
        inputsSinceSnapshot = 0
        bytesSinceSnapshot = 0
        snapshotBytes = bytes.count
        hasNews = true
        try sync()
        writer.trim(upTo: first - 1)
    }

    /// With durability `power`: makes all that was appended survive a power loss.
    func sync() throws {
        try explained { () throws(JournalError) in try writer.sync() }
        hasNews = false
    }

    /// Throws when this process has been replaced. To be asked before what was written earlier is sent again.
    func confirm() throws {
        try explained { () throws(JournalError) in try writer.confirm() }
    }

    func prepareAhead() {
        writer.prepareAhead()
    }

    func close() {
        try? writer.close()
    }

    private func explained(_ body: () throws(JournalError) -> Void) throws {
        do throws(JournalError) {
            try body()
        } catch {
            throw AgentFailure(of: error)
        }
    }
}

enum WorkingDirectory {
    static var path: String {
        guard let path = getcwd(nil, 0) else { return "." }
        defer { free(path) }
        return String(cString: path)
    }
}

/// Which executable this is: enough to tell a rebuilt one from the same.
enum BuildMark {
    static func current() -> String {
        var status = stat()
        guard stat("/proc/self/exe", &status) == 0 else { return "unknown" }
        return "\(status.st_size) bytes of \(status.st_mtim.tv_sec).\(status.st_mtim.tv_nsec)"
    }
}
