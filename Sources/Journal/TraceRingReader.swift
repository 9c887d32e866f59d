import CLinux
import Glibc
import Wire

/// A message as an agent's flight recorder holds it.
public struct TraceSlot: Equatable, Sendable {
    /// Place in the recorder's order, from 1.
    public var number: UInt64
    /// Incarnation of the agent that recorded it.
    public var incarnation: UInt64
    /// Name of the wire; empty if it has none in the file.
    public var edge: String
    /// Else it was received.
    public var isSent: Bool
    /// Monotonic times; zero if sent.
    public var receivedAt: Instant
    public var handledAt: Instant
    public var header: Header
    /// The payload, or its beginning.
    public var payload: [UInt8]
    /// More of the payload was sent than is kept.
    public var isCut: Bool
}

/// Reads a flight recorder, also while it is written. Slots that are torn, damaged or no messages are left out.
public struct TraceRingReader: Sendable {
    public let agent: String
    public let anchor: ClockAnchor
    /// Names of wires, as far as the file has them.
    public let edges: [String]
    private let bytes: [UInt8]

    /// Reads the whole file. Nil if there is none.
    public init?(path: String) throws(JournalError) {
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard file >= 0 else {
            if errno == ENOENT { return nil }
            throw .system("open", path)
        }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0 else { throw .system("stat", path) }
        let most = TraceFormat.slotsAt + TraceRing.maxSlots * TraceFormat.slotBytes
        guard status.st_mode & S_IFMT == S_IFREG, Int(status.st_size) <= most else {
            throw .notAJournal(file: path, problem: "not a flight recorder's file")
        }
        var bytes = [UInt8](repeating: 0, count: max(Int(status.st_size), TraceFormat.slotsAt))
        let result: Result<Int, JournalError> = bytes.withUnsafeMutableBytes { target in
            do throws(JournalError) {
                return .success(try TraceRingFile(path: path, file: file).read(into: target, at: 0))
            } catch {
                return .failure(error)
            }
        }
        let count = try result.get()
        bytes.removeLast(bytes.count - max(count, TraceFormat.slotsAt))
        let header = bytes.withUnsafeBytes { TraceFormat.Header($0) }
        guard let header else {
            throw .notAJournal(file: path, problem: "no flight recorder of this version (the agent writes a new one)")
        }
        self.init(header, bytes)
    }

    /// `bytes`: the file's head and any slots of it.
    init(_ header: TraceFormat.Header, _ bytes: [UInt8]) {
        agent = header.agent
        anchor = header.anchor
        edges = bytes.withUnsafeBytes { bytes in
            TraceFormat.edges(UnsafeRawBufferPointer(rebasing: bytes[TraceFormat.edgesAt..<TraceFormat.slotsAt]))
        }
        self.bytes = bytes
    }

    /// The slots whose trace and payload type (as a number) are wanted, oldest first.
    public func slots(where isWanted: (TraceID, UInt16) -> Bool = { _, _ in true }) -> [TraceSlot] {
        var found: [TraceSlot] = []
        bytes.withUnsafeBytes { bytes in
            var at = TraceFormat.slotsAt
            while at + TraceFormat.slotBytes <= bytes.count {
                let slot = UnsafeRawBufferPointer(rebasing: bytes[at..<at + TraceFormat.slotBytes])
                at += TraceFormat.slotBytes
                guard slot.word(64) != 0, isWanted(TraceID(slot.word(32)), UInt16(truncatingIfNeeded: slot.half(4)))
                else { continue }
                if let read = read(slot) { found.append(read) }
            }
        }
        return found.sorted { $0.number < $1.number }
    }

    private func read(_ slot: UnsafeRawBufferPointer) -> TraceSlot? {
        guard let number = TraceFormat.number(of: slot), let header = header(slot) else { return nil }
        let edge = Int(slot.half(96))
        let flags = UInt16(truncatingIfNeeded: slot.half(100))
        let kept = Int(slot.half(100) >> 16)
        guard kept <= TraceFormat.payloadBytes, kept <= Int(header.payloadBytes) else { return nil }
        return TraceSlot(
            number: number, incarnation: slot.word(88), edge: edges.indices.contains(edge) ? edges[edge] : "",
            isSent: flags & TraceFormat.sentFlag != 0,
            receivedAt: Instant(nanoseconds: Int64(bitPattern: slot.word(72))),
            handledAt: Instant(nanoseconds: Int64(bitPattern: slot.word(80))), header: header,
            payload: [UInt8](slot[TraceFormat.payloadAt..<TraceFormat.payloadAt + kept]),
            isCut: flags & TraceFormat.cutFlag != 0)
    }

    /// The wire's header without the payload it states.
    private func header(_ slot: UnsafeRawBufferPointer) -> Header? {
        withUnsafeTemporaryAllocation(byteCount: Header.byteCount, alignment: 8) { copy in
            copy.copyMemory(from: UnsafeRawBufferPointer(rebasing: slot[..<Header.byteCount]))
            copy.storeBytes(of: 0, toByteOffset: 56, as: UInt32.self)
            guard var header = try? Header(frame: UnsafeRawBufferPointer(copy)) else { return nil }
            header.payloadBytes = slot.half(56)
            return header
        }
    }
}
