import Foundation
import Testing
import Wire

@testable import Journal

@Suite struct TraceRingTests {
    let scratch = Scratch()
    var path: String { scratch.path + "/agents/AlphaScanner/trace" }
    let anchor = ClockAnchor(bootID: .current, monotonic: Instant(nanoseconds: 1_000), unixNs: 5_000)
    let edges = ["MarketFeed.book>AlphaScanner.book", "AlphaScanner.signals"]

    func ring(
        _ incarnation: UInt64 = 1, edges: [String]? = nil, anchor: ClockAnchor? = nil, slots: Int = 100
    ) throws(JournalError) -> TraceRing {
        try TraceRing(
            path: path, agent: "AlphaScanner", incarnation: incarnation, edges: edges ?? self.edges,
            anchor: anchor ?? self.anchor, slots: slots)
    }

    /// A frame whose sequence is `number`.
    func frame(_ number: UInt64, payload: Int = 20) -> [UInt8] {
        var frame = Frame((0..<payload).map { UInt8(truncatingIfNeeded: $0) })
        try! frame.seal(
            Header(
                payloadType: .bookUpdate, output: OutputID(port: "MarketFeed.book"), incarnation: 1, sequence: number,
                trace: TraceID(number % 10 + 1), originAt: Instant(nanoseconds: 1), sentAt: Instant(nanoseconds: 2),
                payloadBytes: 0))
        return frame.bytes
    }

    func record(_ numbers: ClosedRange<UInt64>, in ring: TraceRing, edge: Int = 0) {
        for number in numbers {
            frame(number).withUnsafeBytes {
                ring.received(
                    frame: $0, edge: edge, receivedAt: Instant(nanoseconds: 3), handledAt: Instant(nanoseconds: 4))
            }
        }
    }

    func sequences() throws -> [UInt64] {
        try #require(try TraceRingReader(path: path)).slots().map(\.header.sequence)
    }

    @Test func whatIsRecordedIsReadBack() throws {
        let ring = try ring()
        record(1...1, in: ring)
        frame(2, payload: 500).withUnsafeBytes { ring.sent(frame: $0, edge: 1) }
        record(3...3, in: ring, edge: 7)
        ring.flush()
        let reader = try #require(try TraceRingReader(path: path))
        #expect(reader.agent == "AlphaScanner" && reader.anchor == anchor && reader.edges == edges)
        let slots = reader.slots()
        #expect(slots.map(\.header.sequence) == [1, 2, 3])
        #expect(slots.map(\.edge) == [edges[0], edges[1], ""])
        #expect(slots[0].receivedAt.nanoseconds == 3 && slots[0].handledAt.nanoseconds == 4 && !slots[0].isSent)
        #expect(slots[0].payload == (0..<20).map { UInt8($0) } && !slots[0].isCut)
        #expect(
            slots[1].isSent && slots[1].isCut && slots[1].payload.count == 84 && slots[1].header.payloadBytes == 500)
        #expect(reader.slots { trace, _ in trace == TraceID(3) }.map(\.header.sequence) == [2])
    }

    @Test func nothingIsWrittenUntilAFlushOrAFullBatch() throws {
        let ring = try ring()
        record(1...31, in: ring)
        #expect(try sequences().isEmpty)
        record(32...33, in: ring)
        #expect(try sequences() == Array(1...32))
        ring.flush()
        #expect(try sequences() == Array(1...33))
    }

    @Test(arguments: [1, 5, 99, 100, 101, 163, 200, 250, 1_000]) func theOldestGoFirst(count: UInt64) throws {
        do {
            let ring = try ring()
            for number in 1...count {
                record(number...number, in: ring)
                if number % 7 == 0 { ring.flush() }
            }
        }
        let first = count > 100 ? count - 99 : 1
        #expect(try sequences() == Array(first...count))
        // The next incarnation goes on behind them.
        do {
            let ring = try ring(2)
            record(count + 1...count + 3, in: ring)
        }
        let slots = try #require(try TraceRingReader(path: path)).slots()
        #expect(slots.last?.number == count + 3 && slots.last?.incarnation == 2)
        #expect(slots.map(\.header.sequence) == Array((count + 3 > 100 ? count - 96 : 1)...count + 3))
    }

    @Test func olderSlotsKeepTheNamesOfTheirWires() throws {
        do { record(1...1, in: try ring()) }
        do { record(2...2, in: try ring(2, edges: ["TextFeed.items>AlphaScanner.text", edges[0]])) }
        let slots = try #require(try TraceRingReader(path: path)).slots()
        #expect(slots.map(\.edge) == [edges[0], "TextFeed.items>AlphaScanner.text"])
    }

    @Test func anotherBootAndAnotherAgentStartAnew() throws {
        do { record(1...3, in: try ring()) }
        var later = anchor
        later.bootID.low ^= 1
        do { record(7...7, in: try ring(anchor: later)) }
        #expect(try sequences() == [7])
        _ = try TraceRing(path: path, agent: "Other", incarnation: 1, edges: [], anchor: later, slots: 100)
        #expect(try sequences().isEmpty)
    }

    @Test func tooManyWiresAreRecordedWithoutAName() throws {
        let many = (0..<300).map { "A.\($0)>B.in" }
        do { record(1...1, in: try ring(edges: many), edge: 299) }
        do { record(2...2, in: try ring(edges: many), edge: 255) }
        #expect(try #require(try TraceRingReader(path: path)).slots().map(\.edge) == ["", "A.255>B.in"])
    }

    @Test func damageNeverGivesAWrongMessage() throws {
        do { record(1...5, in: try ring(slots: 8)) }
        let whole = scratch.bytes(path)
        let good = try #require(try TraceRingReader(path: path)).slots()
        for at in Array(0..<130) + Array(TraceFormat.slotsAt..<TraceFormat.slotsAt + 5 * 192) {
            var bytes = whole
            bytes[at] ^= 0x41
            scratch.write(bytes, to: path)
            guard let reader = try? TraceRingReader(path: path) else { continue }
            let slots = reader.slots()
            #expect(slots.allSatisfy { good.contains($0) }, "byte \(at)")
            if at >= TraceFormat.slotsAt { #expect(slots.count == 4, "byte \(at)") }
        }
        for length in Array(0...200) + Array(TraceFormat.slotsAt - 4..<TraceFormat.slotsAt + 400) {
            scratch.write(Array(whole.prefix(length)), to: path)
            let reader = try? TraceRingReader(path: path)
            #expect((reader?.slots().count ?? 0) == max(0, length - TraceFormat.slotsAt) / 192, "\(length) bytes")
        }
        // A damaged file does not keep the agent from recording.
        scratch.write(Array(whole.prefix(77)), to: path)
        do { record(9...9, in: try ring(slots: 8)) }
        #expect(try sequences() == [9])
    }

    @Test func aDamagedFirstSlotIsNoTrouble() throws {
        do { record(1...130, in: try ring()) }
        var bytes = scratch.bytes(path)
        bytes[TraceFormat.slotsAt + 10] ^= 1
        scratch.write(bytes, to: path)
        do { record(131...131, in: try ring(2)) }
        #expect(try sequences().last == 131)
        #expect(try sequences().count == 99)
    }

    @Test func aFullDiskStopsTheRecorderAndNothingElse() throws {
        let ring = try ring()
        let full = open("/dev/full", O_WRONLY)
        dup2(full, ring.file)
        close(full)
        record(1...100, in: ring)
        guard case .system("write", path, ENOSPC, _) = ring.failure else {
            Issue.record("\(String(describing: ring.failure))")
            return
        }
        ring.flush()
    }

    @Test func noFileIsNoRecorder() throws {
        let reader = try TraceRingReader(path: path)
        #expect(reader == nil)
    }
}
