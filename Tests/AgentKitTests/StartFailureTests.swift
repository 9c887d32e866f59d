import Foundation
import Glibc
import Journal
import Testing
import Wire

@testable import AgentKit

/// What ends an agent before it runs: only what a person must put right keeps it from being started again.
@Suite struct StartFailureTests {
    @Test func onlyWhatIsWronglyConfiguredIsNotTriedAgain() throws {
        let passing: [JournalError] = [
            .system(operation: "allocate", path: "/j", errno: ENOSPC, reason: "No space left on device"),
            .full(directory: "/j", bytes: 1, trimmedUpTo: 0), .fenced(directory: "/j", epoch: 1, by: 2),
        ]
        for error in passing {
            #expect(AgentProcess.exitCode(ofStart: error) == 75)
            #expect(AgentProcess.exitCode(ofStart: AgentFailure(of: error)) == 75)
            #expect(AgentFailure(of: AgentFailure(of: error)).description == error.description)
        }
        let lasting: [any Error] = [
            AgentFailure("'threshold' must be a number"), JournalError.version(file: "/j", found: 9),
            JournalError.corrupt(file: "/j", offset: 0, problem: "a changed byte"), CocoaError(.fileNoSuchFile),
        ]
        for error in lasting {
            #expect(AgentProcess.exitCode(ofStart: error) == 78)
        }
    }

    @Test(.enabled(if: SmallDisk.canMount, "needs to mount a tmpfs")) func aFullDiskIsWaitedFor() throws {
        let disk = try SmallDisk(megabytes: 1)
        let room = CrashRoom(directory: "\(disk.path)/run")
        room.journalBytes = (2 << 20, 8 << 20)
        #expect { _ = try room.start(Decider.self) } throws: { AgentProcess.exitCode(ofStart: $0) == 75 }
        try disk.grow(megabytes: 8)
        #expect(try room.start(Decider.self).agent.state.sent == 0)
    }
}

/// A tmpfs of a few megabytes.
private final class SmallDisk {
    let path: String
    static let canMount: Bool = (try? SmallDisk(megabytes: 1)) != nil

    private struct NotMounted: Error {}

    init(megabytes: Int) throws {
        var template = Array("/tmp/qp-XXXXXX".utf8CString)
        path = String(cString: mkdtemp(&template))
        try Self.run("mount", "-t", "tmpfs", "-o", "size=\(megabytes)m", "tmpfs", path)
        mkdir("\(path)/run", 0o700)
    }

    func grow(megabytes: Int) throws {
        try Self.run("mount", "-o", "remount,size=\(megabytes)m", path)
    }

    deinit {
        try? Self.run("umount", "-l", path)
        rmdir(path)
    }

    private static func run(_ command: String...) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = command
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw NotMounted() }
    }
}
