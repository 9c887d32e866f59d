import Foundation
import Testing
import Wire

@testable import Host

@Suite("Log budget") struct LogBudgetTests {
    private func at(_ seconds: Double) -> Instant { Instant.zero + .fractionalSeconds(seconds) }

    @Test func aBurstPassesAndAFloodDoesNot() {
        var budget = LogBudget(at: at(0))
        func admits(_ count: Int, _ seconds: Double) -> Bool { budget.admit(count, at: at(seconds)) }
        let piece = 64 << 10
        let burst = Int(LogBudget.burstBytes) / piece
        for _ in 0..<burst { #expect(admits(piece, 0)) }
        #expect(!admits(piece, 0) && budget.isDry)
        // Not at the first drop of water: a piece worth reading.
        let refill = Double(LogBudget.resumeBytes) / Double(LogBudget.bytesPerSecond)
        #expect(!admits(piece, refill / 2))
        #expect(admits(piece, refill * 1.01))
        #expect(!budget.isDry)
    }

    @Test func whatIsWrittenInTheLongRunIsTheNamedRate() {
        var budget = LogBudget(at: at(0))
        var written = 0
        // 100 MB a second for 20 s, in pieces of 64 KiB.
        for step in 0..<32_000 where budget.admit(64 << 10, at: at(Double(step) / 1_600)) { written += 64 << 10 }
        let allowed = Int(LogBudget.burstBytes) + 20 * Int(LogBudget.bytesPerSecond)
        #expect(written <= allowed && written > allowed * 9 / 10)
    }

    @Test func timeThatStandsStillOrGoesBackGivesNothing() {
        var budget = LogBudget(at: at(10))
        func admits(_ count: Int, _ seconds: Double) -> Bool { budget.admit(count, at: at(seconds)) }
        #expect(admits(Int(LogBudget.burstBytes), 10))
        #expect(!admits(1, 10) && !admits(1, 5))
    }

    @Test func linesCostMoreThanTheirBytes() {
        var budget = LogBudget(bytesPerSecond: 1, burstBytes: 1_000, resumeBytes: 1_000, at: at(0))
        func admits(_ count: Int, _ lines: Int) -> Bool { budget.admit(count, lines: lines, at: at(0)) }
        #expect(admits(200, 10) && !admits(200, 10))
    }

    @Test func aFloodIsReadDroppedSaidAndItsEndKept() throws {
        try withTemporaryDirectory { directory in
            let loop = try EventLoop()
            let budget = LogBudget(
                bytesPerSecond: 64 << 10, burstBytes: 64 << 10, resumeBytes: 1 << 10, at: EventLoop.now())
            let path = "\(directory.path)/A.log"
            let log = try AgentLog(
                agent: "A", loop: loop, directory: directory.path,
                file: LogFile(path: path, maxBytes: 64 << 20, files: 2), scratch: ScratchBuffer(), budget: budget)
            defer { log.close(removing: true) }
            var complaints: [String] = []
            log.complaint = { complaints.append($0) }
            let writers = try log.openWriters()
            // 8 MB in small lines by a process that never waits for long: it gets through.
            let spammer = Process()
            spammer.executableURL = URL(fileURLWithPath: "/bin/sh")
            spammer.arguments = ["-c", "yes spam | head -c 8000000; echo last words"]
            spammer.standardOutput = FileHandle(fileDescriptor: writers.output.raw, closeOnDealloc: false)
            try spammer.run()
            let hasEnded = try loop.run(untilMs: 60_000) {
                loop.schedule(afterMs: 5) {}
                return !spammer.isRunning
            }
            #expect(hasEnded)
            log.drainAll()
            #expect(complaints.count == 1 && complaints[0].contains("lines are dropped and counted"))
            #expect(log.droppedLines > 1_000_000 && log.lastLines(1, of: 0) == ["last words"])
            let content = try String(contentsOfFile: path, encoding: .utf8)
            #expect(content.contains(" lines (") && content.contains(" bytes) were dropped: an agent may write "))
            #expect(content.utf8.count < 8_000_000)
        }
    }

    @Test func aFloodCountsWhatItDropsAndKeepsItsEnd() {
        var flood = LogFlood()
        let line = Array((String(repeating: "x", count: 99) + "\n").utf8)
        for _ in 0..<1_000 { flood.add(line[...]) }
        flood.add(Array("last words".utf8)[...])
        #expect(flood.lines == 1_000 && flood.bytes == 100_010)
        #expect(String(decoding: flood.tail, as: UTF8.self).hasSuffix("x\nlast words"))
        #expect(flood.tail.count <= LogFlood.tailBytes && flood.tail.first == UInt8(ascii: "x"))
        let kept = flood.tail.count { $0 == 10 }
        #expect(flood.text.hasPrefix("\(1_000 - kept) lines (\(100_010 - flood.tail.count) bytes) were dropped"))
        var small = LogFlood()
        small.add(Array("a\nb\n".utf8)[...])
        #expect(small.lines == 2 && small.tail == Array("a\nb\n".utf8))
    }
}
