import Audit
import CLinux
import Foundation
import Supervision
import Testing
import Wire

@testable import Host

/// What an agent may leave under the names that the supervisor reads and writes in its folder.
@Suite("Files in an agent's folder")
struct AgentFileTests {
    private func certificate() -> DeathCertificate {
        DeathCertificate(
            agent: "A", incarnation: 3, at: "2026-01-01T00:00:00Z", cause: .exit, summary: "s", advice: "a")
    }

    @Test("a page of counters that is a FIFO, a link or a device is none, and nobody waits for it")
    func pageThatIsNone() throws {
        try withTemporaryDirectory { directory in
            let path = "\(directory.path)/\(StatsPage.fileName)"
            mkfifo(path, 0o600)
            #expect(WireStatistics.read(folder: directory.path, incarnation: 1).isEmpty)
            unlink(path)
            symlink("/dev/zero", path)
            #expect(WireStatistics.read(folder: directory.path, incarnation: 1).isEmpty)
        }
    }

    @Test("certificates are not written through a link")
    func certificateFolderIsALink() throws {
        try withTemporaryDirectory { directory in
            mkdir("\(directory.path)/elsewhere", 0o700)
            _ = try directory.file("elsewhere/1.json", "another's")
            symlink("\(directory.path)/elsewhere", "\(directory.path)/\(DeathCertificate.folderName)")
            #expect(DeathCertificates.write(certificate(), folder: directory.path) != nil)
            let left = try FileManager.default.contentsOfDirectory(atPath: "\(directory.path)/elsewhere")
            #expect(left == ["1.json"])
        }
    }

    @Test("a draft that is a FIFO or a link is put away, and what it names is left alone")
    func draftThatIsNone() throws {
        try withTemporaryDirectory { directory in
            let exits = "\(directory.path)/\(DeathCertificate.folderName)"
            mkdir(exits, 0o700)
            mkfifo("\(exits)/.draft", 0o600)
            #expect(DeathCertificates.write(certificate(), folder: directory.path) == nil)
            let target = try directory.file("target", "untouched")
            symlink(target, "\(exits)/.draft")
            #expect(DeathCertificates.write(certificate(), folder: directory.path) == nil)
            #expect(try String(contentsOfFile: target, encoding: .utf8) == "untouched")
            #expect(DeathCertificates.read(runDirectory: directory.path, agent: "A").isEmpty)
            #expect(try FileManager.default.contentsOfDirectory(atPath: exits) == ["3.json"])
        }
    }

    @Test("another user's folder of certificates is refused", .enabled(if: geteuid() == 0))
    func foreignFolder() throws {
        try withTemporaryDirectory { directory in
            let exits = "\(directory.path)/\(DeathCertificate.folderName)"
            mkdir(exits, 0o700)
            chown(exits, 65_534, 65_534)
            #expect(DeathCertificates.write(certificate(), folder: directory.path)?.contains("remove it") == true)
        }
    }

    @Test("a record of another user is believed as little as a damaged one, and replaced", .enabled(if: geteuid() == 0))
    func foreignRecord() throws {
        try withTemporaryDirectory { directory in
            for name in [LifeFile.name, "incarnation"] {
                chown(try directory.file(name, String(repeating: "9", count: 600)), 65_534, 65_534)
            }
            #expect(LifeFile.read(folder: directory.path, of: "A") == .damaged)
            #expect(IncarnationFile.read(folder: directory.path) == .none)
            _ = try LifeFile(folder: directory.path)
            try IncarnationFile(folder: directory.path).write(Incarnation(7))
            var info = stat()
            #expect(stat("\(directory.path)/life", &info) == 0 && info.st_uid == 0)
            #expect(LifeFile.read(folder: directory.path, of: "A") == nil)
            #expect(IncarnationFile.read(folder: directory.path).number == 7)
        }
    }

    @Test("a record that is a FIFO or a link is replaced, and its target left alone")
    func recordThatIsNone() throws {
        try withTemporaryDirectory { directory in
            let path = "\(directory.path)/incarnation"
            mkfifo(path, 0o600)
            try IncarnationFile(folder: directory.path).write(Incarnation(5))
            #expect(IncarnationFile.read(folder: directory.path).number == 5)
            unlink(path)
            let target = try directory.file("target", "untouched")
            symlink(target, path)
            try IncarnationFile(folder: directory.path).write(Incarnation(6))
            #expect(IncarnationFile.read(folder: directory.path).number == 6)
            #expect(try String(contentsOfFile: target, encoding: .utf8) == "untouched")
        }
    }

    @Test("one birth at a time: the next is refused, not waited for, while one may come")
    func oneBirth() throws {
        try withTemporaryDirectory { directory in
            let life = try LifeFile(folder: directory.path)
            let birth = try life.openForBirth()
            #expect {
                _ = try life.openForBirth()
            } throws: { error in
                (error as? PosixError)?.code == EAGAIN && Supervisor.isTransient(EAGAIN)
            }
            guard case .onItsWay = life.outcome(of: 1) else {
                Issue.record("the open birth was overlooked")
                return
            }
            birth.close()
            // What other tests start holds the lock for a moment, from fork to exec.
            let isOver = try EventLoop().run(untilMs: 60_000) {
                if case .nobody = life.outcome(of: 1) { return true }
                usleep(1_000)
                return false
            }
            #expect(isOver, "nobody was born")
            #expect(try life.openForBirth().isOpen)
        }
    }
}
