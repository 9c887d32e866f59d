import CLinux
import Foundation
import Testing
import Wire

@testable import Host

/// What a successor makes of a spool, for every moment at which the one before may have been killed.
@Suite("Log spool: kills between any two steps") struct LogSpoolTests {
    private struct Place {
        let directory: String
        let pipe: (read: Descriptor, write: Descriptor)
        var log: String { "\(directory)/A.log" }

        init(_ directory: String) throws {
            self.directory = directory
            pipe = try Descriptor.pipe()
            try check(qp_set_nonblocking(pipe.read.raw), "fcntl")
        }

        func spool() throws -> LogSpool { try LogSpool(path: "\(directory)/out.spool", boot: 7, log: [log]) }
        func say(_ text: String) { #expect(write(pipe.write.raw, text, text.utf8.count) == text.utf8.count) }

        func rest(_ spool: LogSpool) -> String {
            var bytes = [UInt8](repeating: 0, count: 4096)
            return String(decoding: bytes[..<spool.read(into: &bytes)], as: UTF8.self)
        }

        func append(_ text: String) throws -> LogSpool.Place {
            let file = try Descriptor.open(log, O_WRONLY | O_APPEND | O_CREAT)
            var info = stat()
            fstat(file.raw, &info)
            _ = write(file.raw, text, text.utf8.count)
            let start = Int64(info.st_size)
            return LogSpool.Place(inode: UInt64(info.st_ino), start: start, end: start + Int64(text.utf8.count))
        }
    }

    /// How much of a write of 10 bytes was done when the kill came, and whether its lines are to be written again.
    @Test(arguments: [(0, true), (1, true), (9, true), (10, false)])
    func theLogTellsWhetherItWasWritten(done: Int, again: Bool) throws {
        try withTemporaryDirectory { directory in
            let place = try Place(directory.path)
            let before = try place.append("earlier\n")
            place.say("one\ntwo")
            let spool = try place.spool()
            #expect(spool.take(from: place.pipe.read.raw, atMost: 4096) == 7)
            #expect(place.rest(spool) == "one\ntwo")
            spool.intend(
                through: LogSpool.dataAt + 4, continues: true,
                at: LogSpool.Place(inode: before.inode, start: before.end, end: before.end + 10))
            _ = try place.append(String("0 out one\n".prefix(done)))
            let next = try place.spool()
            #expect(place.rest(next) == (again ? "one\ntwo" : "two"))
            #expect(next.mark.endContinues == !again)
            let log = try String(contentsOfFile: place.log, encoding: .utf8)
            #expect(log == "earlier\n" + (again ? "" : "0 out one\n"), "half a line is taken back")
        }
    }

    @Test func whatIsNotCompleteStaysThroughAnyNumberOfSuccessors() throws {
        try withTemporaryDirectory { directory in
            let place = try Place(directory.path)
            for piece in ["a", "b", "c"] {
                place.say(piece)
                let spool = try place.spool()
                #expect(spool.take(from: place.pipe.read.raw, atMost: 4096) == 1)
            }
            let spool = try place.spool()
            #expect(place.rest(spool) == "abc")
            spool.begin(incarnation: 9)
            spool.settle()
            let next = try place.spool()
            #expect(place.rest(next).isEmpty && next.mark.incarnation == 9)
        }
    }

    @Test func aLargeOneIsBegunAnewWithTheBeginningOfALine() throws {
        try withTemporaryDirectory { directory in
            let place = try Place(directory.path)
            let spool = try place.spool()
            var bytes = [UInt8](repeating: 0, count: 64 * 1024)
            let line = String(repeating: "x", count: 4_095) + "\n"
            while spool.size < LogSpool.maxBytes {
                place.say(line)
                #expect(spool.take(from: place.pipe.read.raw, atMost: bytes.count) == 4_096)
                #expect(spool.read(into: &bytes) == 4_096)
                spool.settle()
            }
            place.say("begun")
            #expect(spool.take(from: place.pipe.read.raw, atMost: bytes.count) == 5)
            #expect(place.rest(spool) == "begun")
            #expect(spool.renewWhenLarge())
            #expect(spool.size == LogSpool.dataAt + 5)
            #expect(place.rest(try place.spool()) == "begun")
        }
    }

    @Test func whatIsDamagedForeignOrOfAnotherBootIsNotBelieved() throws {
        try withTemporaryDirectory { directory in
            let place = try Place(directory.path)
            place.say("old\n")
            let spool = try place.spool()
            #expect(spool.take(from: place.pipe.read.raw, atMost: 4096) == 4)
            let other = try LogSpool(path: "\(directory.path)/out.spool", boot: 8, log: [place.log])
            #expect(place.rest(other).isEmpty)
            _ = try Data(repeating: 0xFF, count: 5_000).write(to: URL(fileURLWithPath: "\(directory.path)/out.spool"))
            #expect(place.rest(try place.spool()).isEmpty)
            unlink("\(directory.path)/out.spool")
            symlink("/etc/passwd", "\(directory.path)/out.spool")
            #expect(throws: (any Error).self) { try place.spool() }
        }
    }

    @Test func anEmptyPipeAndAFullDiskAreTold() throws {
        try withTemporaryDirectory { directory in
            let place = try Place(directory.path)
            let spool = try place.spool()
            #expect(spool.take(from: place.pipe.read.raw, atMost: 4096) == 0)
            guard geteuid() == 0 else { return }
            // What does not fit stays in the pipe.
            let small = "\(directory.path)/small"
            mkdir(small, 0o700)
            let mount = Process()
            mount.executableURL = URL(fileURLWithPath: "/bin/mount")
            mount.arguments = ["-t", "tmpfs", "-o", "size=8k", "none", small]
            try mount.run()
            mount.waitUntilExit()
            guard mount.terminationStatus == 0 else { return }
            defer { umount2(small, Int32(MNT_DETACH)) }
            let full = try LogSpool(path: "\(small)/out.spool", boot: 7, log: [place.log])
            place.say(String(repeating: "y", count: 6_000))
            #expect(full.take(from: place.pipe.read.raw, atMost: 8_192) == 4_096)
            #expect(full.take(from: place.pipe.read.raw, atMost: 8_192) == nil)
            var bytes = [UInt8](repeating: 0, count: 8_192)
            #expect(read(place.pipe.read.raw, &bytes, bytes.count) == 1_904)
        }
    }
}
