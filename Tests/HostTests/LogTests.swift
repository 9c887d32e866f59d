import CLinux
import Foundation
import Testing
import Wire

@testable import Host

@Suite("Line splitter")
struct LineSplitterTests {
    private func lines(_ chunks: [String]) -> [LineSplitter.Line] {
        var splitter = LineSplitter()
        var lines: [LineSplitter.Line] = []
        for chunk in chunks { splitter.feed(Array(chunk.utf8), into: &lines) }
        splitter.flush(into: &lines)
        return lines
    }

    private func text(_ lines: [LineSplitter.Line]) -> [String] {
        lines.map { String(decoding: $0.bytes, as: UTF8.self) }
    }

    @Test func linesAcrossChunks() {
        #expect(text(lines(["a\nb", "c\n", "\n", "d"])) == ["a", "bc", "", "d"])
    }

    @Test func carriageReturnsAreDropped() {
        #expect(text(lines(["a\r\nb\r\n"])) == ["a", "b"])
    }

    @Test func anEndlessLineComesInPieces() {
        let limit = LineSplitter.maxLineBytes
        let pieces = lines([String(repeating: "x", count: 2 * limit + 5), "y\nz\n"])
        #expect(pieces.map(\.bytes.count) == [limit, limit, 6, 1])
        #expect(pieces.map(\.continues) == [false, true, true, false])
    }

    @Test(arguments: 1...7) func theCutOfChunksDoesNotMatter(size: Int) {
        let whole = "alpha\n\nbeta gamma\r\nlast"
        let bytes = Array(whole.utf8)
        let chunks = stride(from: 0, to: bytes.count, by: size).map {
            String(decoding: bytes[$0..<min($0 + size, bytes.count)], as: UTF8.self)
        }
        #expect(lines(chunks) == lines([whole]))
    }
}

@Suite("Log records and files")
struct LogFileTests {
    @Test(arguments: [
        (0, "1970-01-01T00:00:00.000000Z"), (951_782_400_000_001, "2000-02-29T00:00:00.000001Z"),
        (1_723_118_399_999_999, "2024-08-08T11:59:59.999999Z"), (-1, "1969-12-31T23:59:59.999999Z"),
        (4_102_444_800_000_000, "2100-01-01T00:00:00.000000Z"),
    ])
    func timestamps(microseconds: Int64, text: String) {
        #expect(Timestamp(microseconds: microseconds).text == text)
    }

    @Test func recordsReadBack() {
        let record = LogRecord(
            at: Timestamp(microseconds: 1), incarnation: 3, stream: .stderr, continues: true,
            text: Array("a  b\u{1B}[0m".utf8))
        var bytes: [UInt8] = []
        record.append(to: &bytes)
        #expect(String(decoding: bytes, as: UTF8.self) == "1970-01-01T00:00:00.000001Z 3 err+ a  b.[0m\n")
        let line = LogRecord.parse(Array(bytes.dropLast()), agent: "A")
        #expect(line.stream == .stderr && line.incarnation == 3 && line.text == "a  b.[0m")
        #expect(LogRecord.parse(Array("anything else".utf8), agent: "A").text == "anything else")
    }

    @Test func rotationKeepsTheNamedNumberOfFiles() throws {
        try withTemporaryDirectory { directory in
            let log = LogFile(path: "\(directory.path)/A.log", maxBytes: 10, files: 3)
            for number in 0..<6 { #expect(log.write(Array("line \(number)\n".utf8), lines: 1) == nil) }
            let names = try FileManager.default.contentsOfDirectory(atPath: directory.path).sorted()
            #expect(names == ["A.log", "A.log.1", "A.log.2"])
            let tail = LogFile.tail(path: log.path, lines: 2).map { String(decoding: $0, as: UTF8.self) }
            #expect(tail == ["line 4", "line 5"])
        }
    }

    @Test("a rotation that was cut off hides no line, and the next one fills its gap")
    func rotationCutOff() throws {
        try withTemporaryDirectory { directory in
            let log = LogFile(path: "\(directory.path)/A.log", maxBytes: 10, files: 5)
            for word in ["one", "two", "three", "four"] { _ = log.write(Array("line \(word)\n".utf8), lines: 1) }
            func tail() -> [String] {
                LogFile.tail(path: log.path, lines: 9).map { String(decoding: $0, as: UTF8.self) }
            }
            #expect(tail() == ["line one", "line two", "line three", "line four"])
            // Killed between the renames of .2 and of .1.
            #expect(rename("\(log.path).3", "\(log.path).4") == 0 && rename("\(log.path).2", "\(log.path).3") == 0)
            #expect(tail() == ["line one", "line two", "line three", "line four"])
            _ = log.write(Array("line five\n".utf8), lines: 1)
            #expect(access("\(log.path).2", F_OK) == 0)
            #expect(tail() == ["line one", "line two", "line three", "line four", "line five"])
        }
    }

    @Test func aDeletedFileIsBegunAnew() throws {
        try withTemporaryDirectory { directory in
            let log = LogFile(path: "\(directory.path)/A.log", maxBytes: 1000, files: 2)
            _ = log.write(Array("one\n".utf8), lines: 1)
            unlink(log.path)
            _ = log.write(Array("two\n".utf8), lines: 1)
            let content = try String(contentsOfFile: log.path, encoding: .utf8)
            #expect(content == "two\n")
        }
    }

    @Test func aDeletedFolderIsMadeAnew() throws {
        try withTemporaryDirectory { directory in
            let folder = "\(directory.path)/logs"
            let log = LogFile(path: "\(folder)/A.log", maxBytes: 10, files: 2)
            #expect(log.write(Array("one\n".utf8), lines: 1) == nil, "it was not there at first")
            try FileManager.default.removeItem(atPath: folder)
            #expect(log.write(Array("two\n".utf8), lines: 1) == nil)
            #expect(try String(contentsOfFile: log.path, encoding: .utf8) == "two\n")
            rename(folder, "\(directory.path)/old")
            #expect(log.write(Array("three is long\n".utf8), lines: 1) == nil)
            #expect(try String(contentsOfFile: log.path, encoding: .utf8) == "three is long\n")
            #expect(log.dropped == 0)
            var info = stat()
            #expect(stat(folder, &info) == 0 && info.st_mode & 0o777 == 0o700)
            #expect(try String(contentsOfFile: "\(directory.path)/old/A.log", encoding: .utf8) == "two\n")
        }
    }

    @Test func aMovedFileIsLeftAsItIs() throws {
        try withTemporaryDirectory { directory in
            let log = LogFile(path: "\(directory.path)/A.log", maxBytes: 10, files: 2)
            _ = log.write(Array("one\n".utf8), lines: 1)
            rename(log.path, "\(directory.path)/old")
            #expect(log.write(Array("two\n".utf8), lines: 1) == nil)
            #expect(log.write(Array("three, so that it is full\n".utf8), lines: 1) == nil)
            let contents = try ["old", "A.log.1", "A.log"].map {
                try String(contentsOfFile: "\(directory.path)/\($0)", encoding: .utf8)
            }
            #expect(contents == ["one\n", "two\n", "three, so that it is full\n"])
        }
    }

    @Test func aFullDiskDropsCountsAndRecovers() throws {
        try withTemporaryDirectory { directory in
            let path = "\(directory.path)/A.log"
            symlink("/dev/full", path)
            let log = LogFile(path: path, maxBytes: 1000, files: 2)
            #expect(log.write(Array("one\n".utf8), lines: 1) != nil)
            #expect(log.write(Array("two\n".utf8), lines: 1) == nil, "said once")
            #expect(log.dropped == 2)
            unlink(path)
            #expect(log.write(Array("three\n".utf8), lines: 1) == nil)
            let content = try String(contentsOfFile: path, encoding: .utf8)
            #expect(content.contains("2 lines lost"))
            #expect(content.hasSuffix("three\n"))
        }
    }

    @Test(.enabled(if: geteuid() == 0, "needs root to mount a small file system"))
    func aDiskWithoutRoomLosesWholeLinesOnly() throws {
        try withTemporaryDirectory { directory in
            func run(_ program: String, _ arguments: String...) throws -> Int32 {
                let process = Process()
                process.executableURL = URL(fileURLWithPath: program)
                process.arguments = arguments
                try process.run()
                process.waitUntilExit()
                return process.terminationStatus
            }
            try #require(try run("/bin/mount", "-t", "tmpfs", "-o", "size=16k", "none", directory.path) == 0)
            defer { _ = try? run("/bin/umount", directory.path) }
            let log = LogFile(path: "\(directory.path)/A.log", maxBytes: 1 << 20, files: 2)
            let line = Array((String(repeating: "x", count: 999) + "\n").utf8)
            var complaints = 0
            for _ in 0..<40 where log.write(line, lines: 1) != nil { complaints += 1 }
            #expect(complaints == 1 && log.dropped > 20)
            let bytes = try Data(contentsOf: URL(fileURLWithPath: log.path))
            #expect(bytes.count % 1000 == 0 && bytes.last == 10, "no line is cut")
        }
    }

    @Test func aDirectoryInPlaceOfTheFileIsNoCrash() throws {
        try withTemporaryDirectory { directory in
            mkdir("\(directory.path)/A.log", 0o700)
            let log = LogFile(path: "\(directory.path)/A.log", maxBytes: 1000, files: 2)
            #expect(log.write(Array("one\n".utf8), lines: 1)?.contains("dropped") == true)
        }
    }
}

@Suite("Agent log: real pipes", .serialized)
struct AgentLogTests {
    @Test func outputOfAProcessArrivesWithStreamAndLastWords() throws {
        try withTemporaryDirectory { directory in
            let rig = try LauncherRig()
            let file = LogFile(path: "\(directory.path)/A.log", maxBytes: 1 << 20, files: 2)
            let log = try AgentLog(
                agent: "A", loop: rig.loop, directory: directory.path, file: file, scratch: ScratchBuffer())
            defer { log.close(removing: true) }
            log.begin(incarnation: 2)
            var followed: [LogLine] = []
            log.follower = { followed.append($0) }
            let writers = try log.openWriters()
            var exited = false
            let watch = ExitWatch(loop: rig.loop)
            let request = LaunchRequest(
                executable: "/bin/sh", arguments: ["sh", "-c", "echo out; echo err >&2; printf 'no newline'"],
                environment: [:], workingDirectory: "/")
            rig.launcher.launch(request, output: writers.output.raw, error: writers.error.raw) { report in
                guard case .spawned(let pid, _) = report else { return }
                do { try watch.watch(pid) { _ in exited = true } } catch { Issue.record(error) }
            }
            #expect(try rig.loop.run(untilMs: 60_000) { exited })
            log.drainAll()
            #expect(Set(followed.map(\.text)) == ["out", "err", "no newline"])
            #expect(followed.first { $0.text == "err" }?.stream == .stderr)
            #expect(followed.allSatisfy { $0.incarnation == 2 })
            #expect(Set(log.lastLines(10, of: 2)) == ["out", "err", "no newline"])
            #expect(log.lastLines(10, of: 1) == [], "another's")
        }
    }

    @Test func writersOutliveTheReaderAndNothingIsLost() throws {
        try withTemporaryDirectory { directory in
            let loop = try EventLoop()
            let path = "\(directory.path)/A.log"
            func open() throws -> AgentLog {
                try AgentLog(
                    agent: "A", loop: loop, directory: directory.path,
                    file: LogFile(path: path, maxBytes: 1 << 20, files: 2), scratch: ScratchBuffer())
            }
            let first = try open()
            let writers = try first.openWriters()
            first.close(removing: false)
            #expect(write(writers.output.raw, "meanwhile\n", 10) == 10)
            let second = try open()
            second.drainAll()
            #expect(second.lastLines(1, of: 0) == ["meanwhile"])
            second.close(removing: true)
        }
    }
}
