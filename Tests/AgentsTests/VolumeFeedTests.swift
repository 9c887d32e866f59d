import AgentKit
import FoundationEssentials
import Glibc
import Market
import Recording
import Testing
import Wire

@testable import VolumeFeed

private let regSho = "darkpool/regsho_venue_volume_XRT_IWM_VTI_IJR_2020_2021.psv"
private let weekly = "darkpool/finra_ats_weekly_AAPL_BRKB_2021_2026.csv"

@Suite struct VolumeFeedTests {
    private static let regShoHeader = "Date|Symbol|ShortVolume|ShortExemptVolume|TotalVolume|Market|File\n"
    private static let weeklyHeader = "summaryTypeCode,symbol,weekStart,shares,trades,notional,published\n"

    /// Runs a source to its end on a file of this text.
    private func run(_ text: String, _ settings: [String: SettingValue] = [:]) throws -> Outcome {
        let path = "/tmp/qp-\(getpid())-\(UInt32.random(in: 0 ... .max)).csv"
        try Data(text.utf8).write(to: URL(filePath: path))
        defer { unlink(path) }
        return try run(environment: ["VOLUME_FEED": path], settings)
    }

    private struct Outcome {
        var volumes: [VenueVolume] = []
        var log: [String] = []
        var isExhausted = false
    }

    private func run(environment: [String: String], _ settings: [String: SettingValue] = [:]) throws -> Outcome {
        var bench = try AgentBench<SourceAgent<VolumeSource>>(
            outputs: [.init("volumes", .venueVolume)], settings: settings, environment: environment,
            folder: SenseData.agentFolder("VolumeFeed"))
        var outcome = Outcome()
        bench.start()
        while bench.turnNotBefore != nil {
            for sent in bench.turn() {
                if case .venueVolume(let volume) = sent.payload { outcome.volumes.append(volume) }
            }
        }
        outcome.log = bench.log.map(\.text)
        outcome.isExhausted = bench.isExhausted
        return outcome
    }

    @Test func regShoRowsBecomeVolumes() throws {
        let outcome = try run(
            Self.regShoHeader + "20200103|IJR|9800|1|10100.5|B|2 FNQC.txt\n20200102|IJR|100|0|400|B|4 NQBX.txt\n")
        #expect(outcome.volumes.count == 2)
        #expect(outcome.isExhausted)
        let first = try #require(outcome.volumes.first)
        #expect(first.venue == "NQBX" && !first.offExchange, "sorted by publication")
        let second = outcome.volumes[1]
        #expect(second.symbol == "IJR" && second.venue == "FNQC" && second.offExchange, "B is two venues: File tells")
        #expect(second.volume == Quantity("10100.5"))
        #expect(second.shortVolume == Quantity("9800"))
        #expect(second.trades == 0)
        #expect(second.dataOrigin == .recorded)
        // 2020-01-03 is EST: 9:30 there is 14:30 UTC, 18:00 is 23:00 UTC.
        #expect(second.periodStartTimeNs == (1_578_009_600 + 14 * 3_600 + 1_800) * 1_000_000_000)
        #expect(second.periodStartTimeNs + second.periodNs == (1_578_009_600 + 21 * 3_600) * 1_000_000_000)
        #expect(second.publishedTimeNs == (1_578_009_600 + 23 * 3_600) * 1_000_000_000)
    }

    @Test func weeklyRowsKeepTheirDelay() throws {
        let outcome = try run(
            Self.weeklyHeader + "ATS_W_SMBL,AAPL,2021-12-06,29179854,229144,5027197407,2021-12-27\n")
        let volume = try #require(outcome.volumes.first)
        #expect(volume.symbol == "AAPL" && volume.venue == "ATS" && volume.offExchange)
        #expect(volume.volume == Quantity("29179854") && volume.trades == 229_144)
        // 2021-12-06 00:00 and 2021-12-27 18:00 in New York.
        #expect(volume.periodStartTimeNs == (1_638_748_800 + 5 * 3_600) * 1_000_000_000)
        #expect(volume.publishedTimeNs == (1_640_563_200 + 23 * 3_600) * 1_000_000_000)
    }

    @Test func badLinesAreReportedWithTheirNumberAndSkipped() throws {
        let outcome = try run(
            Self.regShoHeader + """
                20200102|IJR|1|0|2|A|1 AMEX.txt
                20200231|IJR|1|0|2|A|1 AMEX.txt
                20200102|IJR|1|0|2|A|9 MOON.txt
                20200102|IJR|3|0|2|A|1 AMEX.txt
                20200102|IJR|-1|0|2|A|1 AMEX.txt
                20200102|IJR|1|0|1e9|A|1 AMEX.txt
                20200102||1|0|2|A|1 AMEX.txt
                20200102|IJR
                20200102|IJR|1|0|99999999999999|A|1 AMEX.txt

                20200103|IJR|1|0|2|A|1 AMEX.txt
                """)
        #expect(outcome.volumes.count == 2)
        for line in 3...10 { #expect(outcome.log.contains { $0.contains(".csv:\(line):") }, "line \(line)") }
        #expect(outcome.log.last?.contains("8 bad lines skipped") == true)
    }

    @Test func aWeekPublishedBeforeItIsOverIsABadLine() throws {
        let outcome = try run(
            Self.weeklyHeader
                + "ATS_W_SMBL,AAPL,2021-12-06,1,1,1,2021-12-07\nATS_W_SMBL,AAPL,2021-12-06,1,1,1,2021-12-27\n"
                + "OTC_W_SMBL,AAPL,2021-12-06,1,1,1,2021-12-27\n")
        #expect(outcome.volumes.count == 1)
        #expect(outcome.log.contains { $0.contains(".csv:2:") && $0.contains("before its week") })
    }

    @Test(arguments: ["", "a,b\n1,2\n", regShoHeader, regShoHeader + "x|y\n", weeklyHeader + "\u{1}\n"])
    func aUselessFileIsOneClearFailure(text: String) {
        #expect { try run(text) } throws: {
            guard let failure = $0 as? AgentFailure else { return false }
            return failure.description.contains("/tmp/qp-") && failure.description.contains("VOLUME_FEED")
        }
    }

    @Test func aMissingFileSaysWhatToDo() {
        #expect { try run(environment: ["VOLUME_FEED": "/nonexistent.csv"]) } throws: {
            "\($0)".contains("/nonexistent.csv") && "\($0)".contains("settings.file")
        }
        #expect(throws: AgentFailure.self) { try run(environment: [:], ["pace": .text("fast")]) }
    }

    @Test func theSampleIsLabelledAsSimulated() throws {
        let outcome = try run(environment: [:], ["file": .text("")])
        #expect(outcome.volumes.count == 200)
        #expect(outcome.volumes.allSatisfy { $0.dataOrigin == .simulated && $0.symbol == "SIMUSD" })
        #expect(outcome.log.contains { $0.contains("made-up") })
        #expect(!outcome.log.contains { $0.contains("skipped") && !$0.contains("0 bad lines") })
    }

    @Test func badLinesAreToldUpToALimit() throws {
        let outcome = try run(
            Self.regShoHeader + String(repeating: "x\n", count: 500) + "20200102|IJR|1|0|2|A|1 AMEX.txt\n")
        #expect(outcome.volumes.count == 1)
        #expect(outcome.log.count == VolumeTable.maxReports + 2)
        #expect(outcome.log.last?.contains("500 bad lines skipped") == true)
    }

    @Test func itKeepsThePaceOfPublication() throws {
        let text = Self.regShoHeader + "20200102|IJR|1|0|2|A|1 AMEX.txt\n20200103|IJR|1|0|2|A|1 AMEX.txt\n"
        let path = "/tmp/qp-\(getpid())-pace.csv"
        try Data(text.utf8).write(to: URL(filePath: path))
        defer { unlink(path) }
        var bench = try AgentBench<SourceAgent<VolumeSource>>(
            outputs: [.init("volumes", .venueVolume)], settings: ["pace": .text("86400x")],
            environment: ["VOLUME_FEED": path])
        bench.start()
        let begun = bench.now
        #expect(bench.turn().count == 1)
        #expect(bench.turnNotBefore == begun + .seconds(1), "a day later at a day a second")
    }

    /// The whole file, row by row against its text.
    @Test(.enabled(if: SenseData.has(regSho), "needs ../shared/data"))
    func readsTheRealRegShoFile() throws {
        let outcome = try run(environment: ["VOLUME_FEED": SenseData.path(regSho)])
        let records = try SenseData.records(regSho, separator: UInt8(ascii: "|")).dropFirst()
        #expect(outcome.volumes.count == records.count)
        #expect(outcome.log.count == 1 && outcome.log[0].contains(" 0 bad lines"))
        let total = records.reduce(0.0) { $0 + (Double($1[4]) ?? .nan) }
        #expect(abs(outcome.volumes.reduce(0) { $0 + $1.volume.double } - total) < 1)
        #expect(outcome.volumes.filter(\.offExchange).count == records.filter { $0[6].hasPrefix("2 FN") }.count)
        for (row, next) in zip(outcome.volumes, outcome.volumes.dropFirst()) {
            #expect(row.publishedTimeNs <= next.publishedTimeNs)
        }
    }

    @Test(.enabled(if: SenseData.has(weekly), "needs ../shared/data"))
    func readsTheRealWeeklyFile() throws {
        let outcome = try run(environment: ["VOLUME_FEED": SenseData.path(weekly)])
        #expect(outcome.volumes.count == 496)
        #expect(outcome.volumes.allSatisfy { $0.publishedTimeNs >= $0.periodStartTimeNs + 14 * VolumeTime.dayNs })
    }
}
