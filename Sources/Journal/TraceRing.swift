import CLinux
import Glibc
import Wire

/// An agent's flight recorder: the last messages that it received and sent. Bounded, so it may stand beside a stream of
/// any length; recording never fails a caller, and what was flushed survives `kill -9`. One thread.
///
/// A restarted agent goes on in the same ring. After a reboot, whose monotonic times mean something else, it starts anew.
public final class TraceRing {
    /// Name of the file in the agent's run directory.
    public static let fileName = "trace"
    public static let slots = 65_536
    static let maxSlots = 1 << 24
    /// Edges that the table can hold; messages on further ones are recorded without a name.
    public static let maxEdges = 256
    /// Slots that are written at once.
    static let slotsPerWrite = 32

    /// Why recording has stopped; nil while it goes on.
    public private(set) var failure: JournalError?

    private let path: String
    let file: Int32
    private let slotCount: Int
    private let incarnation: UInt64
    /// Place in the file's table by the caller's edge index.
    private let edgeNumbers: [UInt32]
    private let batch: UnsafeMutableRawBufferPointer
    private var pending = 0
    /// Number of the last slot in the batch or in the file.
    private var number: UInt64

    /// `edges`: names of the wires, as in the statistics page ("MarketFeed.book>AlphaScanner.book", or
    /// "AlphaScanner.signals" for the sending side of a stream). Makes the file's directory if need be.
    public convenience init(
        path: String, agent: String, incarnation: UInt64, edges: [String], anchor: ClockAnchor = .now()
    ) throws(JournalError) {
        try self.init(
            path: path, agent: agent, incarnation: incarnation, edges: edges, anchor: anchor, slots: Self.slots)
    }

    init(
        path: String, agent: String, incarnation: UInt64, edges: [String], anchor: ClockAnchor, slots: Int
    ) throws(JournalError) {
        if let slash = path.lastIndex(of: "/"), slash != path.startIndex { try makeDirectory(String(path[..<slash])) }
        let file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw .system("open", path) }
        do throws(JournalError) {
            (number, edgeNumbers) = try TraceRingFile(path: path, file: file)
                .prepare(TraceFormat.Header(slots: slots, anchor: anchor, agent: agent), edges)
        } catch {
            close(file)
            throw error
        }
        self.path = path
        self.file = file
        self.incarnation = incarnation
        slotCount = slots
        batch = .allocate(byteCount: Self.slotsPerWrite * TraceFormat.slotBytes, alignment: 8)
        batch.initializeMemory(as: UInt8.self, repeating: 0)
    }

    deinit {
        flush()
        batch.deallocate()
        close(file)
    }

    /// Records a message received: `frame` as on the wire, `edge` as in `edges` of `init`.
    public func received(frame: UnsafeRawBufferPointer, edge: Int, receivedAt: Instant, handledAt: Instant) {
        record(frame, edge, receivedAt, handledAt, flags: 0)
    }

    /// Records a message sent; when is in its header.
    public func sent(frame: UnsafeRawBufferPointer, edge: Int) {
        record(frame, edge, .zero, .zero, flags: TraceFormat.sentFlag)
    }

    /// Writes what has gathered. Call it whenever the loop is about to wait.
    public func flush() {
        guard pending > 0, failure == nil else { return }
        let first = number - UInt64(pending)
        let position = Int(first % UInt64(slotCount))
        let untilEnd = min(pending, slotCount - position)
        write(slots: 0..<untilEnd, at: position)
        if untilEnd < pending { write(slots: untilEnd..<pending, at: 0) }
        pending = 0
    }

    private func record(
        _ frame: UnsafeRawBufferPointer, _ edge: Int, _ receivedAt: Instant, _ handledAt: Instant, flags: UInt16
    ) {
        guard failure == nil, frame.count >= Header.byteCount else { return }
        let slot = batch.baseAddress! + pending * TraceFormat.slotBytes
        let kept = min(frame.count - Header.byteCount, TraceFormat.payloadBytes)
        let flags = kept < frame.count - Header.byteCount ? flags | TraceFormat.cutFlag : flags
        number += 1
        memcpy(slot, frame.baseAddress!, Header.byteCount)
        slot.storeBytes(of: number.littleEndian, toByteOffset: 64, as: UInt64.self)
        slot.storeBytes(of: receivedAt.nanoseconds.littleEndian, toByteOffset: 72, as: Int64.self)
        slot.storeBytes(of: handledAt.nanoseconds.littleEndian, toByteOffset: 80, as: Int64.self)
        slot.storeBytes(of: incarnation.littleEndian, toByteOffset: 88, as: UInt64.self)
        let edgeNumber = edgeNumbers.indices.contains(edge) ? edgeNumbers[edge] : TraceFormat.unknownEdge
        slot.storeBytes(of: edgeNumber.littleEndian, toByteOffset: 96, as: UInt32.self)
        slot.storeBytes(of: flags.littleEndian, toByteOffset: 100, as: UInt16.self)
        slot.storeBytes(of: UInt16(kept).littleEndian, toByteOffset: 102, as: UInt16.self)
        memcpy(slot + TraceFormat.payloadAt, frame.baseAddress! + Header.byteCount, kept)
        memset(slot + TraceFormat.payloadAt + kept, 0, TraceFormat.payloadBytes - kept)
        let crc = qp_crc32c(0, slot, TraceFormat.slotCRCAt)
        slot.storeBytes(of: crc.littleEndian, toByteOffset: TraceFormat.slotCRCAt, as: UInt32.self)
        pending += 1
        if pending == Self.slotsPerWrite { flush() }
    }

    private func write(slots: Range<Int>, at position: Int) {
        let bytes = UnsafeRawBufferPointer(
            rebasing: batch[slots.lowerBound * TraceFormat.slotBytes..<slots.upperBound * TraceFormat.slotBytes])
        do throws(JournalError) {
            try TraceRingFile(path: path, file: file).write(
                bytes, at: TraceFormat.slotsAt + position * TraceFormat.slotBytes)
        } catch {
            failure = error
        }
    }
}

/// The ring's file: opened, checked, and its end found.
struct TraceRingFile {
    let path: String
    let file: Int32

    /// Makes the file one of `header`'s agent and boot, and gives the number of its last slot and the place of each of
    /// `edges` in its table.
    func prepare(
        _ header: TraceFormat.Header, _ edges: [String]
    ) throws(JournalError) -> (lastNumber: UInt64, edgeNumbers: [UInt32]) {
        let head = UnsafeMutableRawBufferPointer.allocate(byteCount: TraceFormat.slotsAt, alignment: 8)
        defer { head.deallocate() }
        head.initializeMemory(as: UInt8.self, repeating: 0)
        _ = try read(into: head, at: 0)
        let found = TraceFormat.Header(UnsafeRawBufferPointer(head))
        let goesOn =
            found?.agent == header.agent && found?.slots == header.slots
            && found?.anchor.bootID == header.anchor.bootID
        if !goesOn {
            guard ftruncate(file, 0) == 0,
                ftruncate(file, off_t(TraceFormat.slotsAt + header.slots * TraceFormat.slotBytes)) == 0
            else { throw .system("truncate", path) }
            head.initializeMemory(as: UInt8.self, repeating: 0)
            header.write(to: head.baseAddress!)
            try write(UnsafeRawBufferPointer(rebasing: head[..<TraceFormat.edgesAt]), at: 0)
        }
        let numbers = try addEdges(edges, head)
        return (goesOn ? try lastNumber(slots: header.slots) : 0, numbers)
    }

    /// The table only grows, so that older slots keep the names of their edges.
    private func addEdges(
        _ edges: [String], _ head: UnsafeMutableRawBufferPointer
    ) throws(JournalError) -> [UInt32] {
        var names = TraceFormat.edges(UnsafeRawBufferPointer(rebasing: head[TraceFormat.edgesAt...]))
        var numbers: [UInt32] = []
        for edge in edges {
            let name = String(decoding: edge.utf8.prefix(StatsPage.wireNameBytes), as: UTF8.self)
            if let known = names.firstIndex(of: name) {
                numbers.append(UInt32(known))
            } else if names.count < TraceRing.maxEdges, !name.isEmpty {
                let at = TraceFormat.edgesAt + names.count * TraceFormat.edgeBytes
                TraceFormat.writeEdge(name, to: head.baseAddress! + at)
                try write(UnsafeRawBufferPointer(rebasing: head[at..<at + TraceFormat.edgeBytes]), at: at)
                numbers.append(UInt32(names.count))
                names.append(name)
            } else {
                numbers.append(TraceFormat.unknownEdge)
            }
        }
        return numbers
    }

    /// Numbers rise by one from slot to slot up to the last one written, so it is found by halving (17 reads instead
    /// of 12 MB). If the first slot is damaged, all are looked at.
    func lastNumber(slots: Int) throws(JournalError) -> UInt64 {
        guard let first = try number(at: 0) else { return try highestNumber(slots: slots) }
        var (low, high) = (0, slots)  // slot `low` is of the first one's lap, slot `high` is not
        while high - low > 1 {
            let middle = (low + high) / 2
            if try number(at: middle) == first + UInt64(middle) { low = middle } else { high = middle }
        }
        return first + UInt64(low)
    }

    private func highestNumber(slots: Int) throws(JournalError) -> UInt64 {
        var highest: UInt64 = 0
        for slot in 0..<slots { highest = max(highest, try number(at: slot) ?? 0) }
        return highest
    }

    private func number(at slot: Int) throws(JournalError) -> UInt64? {
        let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: TraceFormat.slotBytes, alignment: 8)
        defer { bytes.deallocate() }
        guard try read(into: bytes, at: TraceFormat.slotsAt + slot * TraceFormat.slotBytes) == bytes.count else {
            return nil
        }
        return TraceFormat.number(of: UnsafeRawBufferPointer(bytes))
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(JournalError) {
        var done = 0
        while done < bytes.count {
            let count = pwrite(file, bytes.baseAddress! + done, bytes.count - done, off_t(offset + done))
            if count < 0 {
                if errno == EINTR { continue }
                throw .system("write", path)
            }
            done += count
        }
    }

    func read(into target: UnsafeMutableRawBufferPointer, at offset: Int) throws(JournalError) -> Int {
        var done = 0
        while done < target.count {
            let count = pread(file, target.baseAddress! + done, target.count - done, off_t(offset + done))
            if count == 0 { break }
            if count < 0 {
                if errno == EINTR { continue }
                throw .system("read", path)
            }
            done += count
        }
        return done
    }
}
