import CLinux
import Foundation
import Wire

/// One end of one wire, as an agent's page of counters names it.
struct WireCounterKey: Hashable {
    /// "Agent.output>Agent.input", or "Agent.output" for the sending side of a stream.
    var name: String
    var isSender: Bool
}

/// What one end counted.
struct WireCounters: Equatable {
    var messages: UInt64 = 0
    var lost: UInt64 = 0
    var duplicates: UInt64 = 0
    var p50: Nanoseconds?
    var p99: Nanoseconds?
    var max: Nanoseconds?
    /// A durable wire: `messages` counts over all incarnations already.
    var isTotal = false

    static func + (past: WireCounters, now: WireCounters) -> WireCounters {
        var sum = now
        sum.messages =
            now.isTotal || past.isTotal ? Swift.max(now.messages, past.messages) : now.messages &+ past.messages
        sum.isTotal = now.isTotal || past.isTotal
        sum.lost &+= past.lost
        sum.duplicates &+= past.duplicates
        sum.p50 = now.p50 ?? past.p50
        sum.p99 = now.p99 ?? past.p99
        sum.max = [now.max, past.max].compactMap { $0 }.max()
        return sum
    }
}

/// Reads the pages of counters that agents built on the SDK keep in `<run>/agents/NAME/stats`. A page of another
/// incarnation than the one asked for, or none, reads as nothing.
enum WireStatistics {
    /// Whether an SDK agent has come through its join barrier; nil: it keeps no page (yet).
    static func isReady(folder: String, incarnation: UInt64) -> Bool? {
        withPage(folder: folder, incarnation: incarnation) { $0[.readyAt] != 0 }
    }

    static let maxPageBytes = 64 << 20

    static func read(folder: String, incarnation: UInt64) -> [WireCounterKey: WireCounters] {
        withPage(folder: folder, incarnation: incarnation, counters(of:)) ?? [:]
    }

    /// A copy of the page in aligned memory: it is small, and the agent may replace the file at any moment. nil where
    /// there is none of this incarnation.
    static func withPage<Result>(
        folder: String, incarnation: UInt64, _ body: (StatsPageView) -> Result
    ) -> Result? {
        // The agent's own file, as whatever user it runs.
        let path = "\(folder)/\(StatsPage.fileName)"
        guard let bytes = AgentFile.read(path, limit: maxPageBytes, isOurs: false) else { return nil }
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 8)
        defer { memory.deallocate() }
        memory.copyBytes(from: bytes)
        let page = StatsPageView(memory)
        guard page.isValid, page[.incarnation] == incarnation else { return nil }
        return body(page)
    }

    private static func counters(of page: StatsPageView) -> [WireCounterKey: WireCounters] {
        var counters: [WireCounterKey: WireCounters] = [:]
        for index in 0..<page.wireCount {
            let wire = page.wire(index)
            var counted = WireCounters(
                messages: wire[.messages], lost: wire[.lost], duplicates: wire[.duplicates],
                isTotal: wire[.isDurable] != 0)
            let hop = wire.hop
            if hop.count > 0 {
                counted.p50 = hop.quantile(0.5)
                counted.p99 = hop.quantile(0.99)
                counted.max = hop.max
            }
            counters[WireCounterKey(name: wire.name, isSender: wire[.sends] != 0)] = counted
        }
        return counters
    }
}
