import CLinux
import Foundation
import Supervision
import Wire

/// Whether a program can take the supervisor's place: it is run with `--check` first, on a thread of its own, and told by
/// ``Handover/takeover`` which run directory it would take over: it judges what is in force there (``TakeoverCheck``), and not
/// what is on the disk.
struct UpgradeCheck: Sendable {
    /// How long it may think; then it is killed and refused. Everything goes on meanwhile, so that a slow machine is no reason.
    static let limit = Nanoseconds.seconds(60)
    /// Bytes of its complaints that are told.
    static let maxComplaintBytes = 4_096
    /// How long a program may stay open for writing: while it is copied, or while a process that was forked meanwhile
    /// has not executed anything yet (`ETXTBSY`).
    static let busyPausesMs = [10, 20, 40, 80, 160, 320, 640, 1_280]

    let program: String
    let configurationFile: String
    let runDirectory: String

    /// Why not; nil: it can. Blocks; `pause` waits so many milliseconds before a busy program is tried again.
    func run(within limit: Nanoseconds = limit, pause: (Int) -> Void = { usleep(UInt32($0) * 1_000) }) -> String? {
        guard FileManager.default.isExecutableFile(atPath: program) else {
            return "\(program) is missing or not executable; put the new program there"
        }
        let ending: ChildExit.Ending?
        let complaint: [UInt8]
        do { (ending, complaint) = try patiently(limit, pause) } catch let error as PosixError
            where error.code == ETXTBSY
        {
            return "\(program) is still being written; upgrade again when its copy is complete"
        } catch {
            return "\(program) can't be executed: \(error)"
        }
        let manner: String
        switch ending {
        case .exited(code: 0): return Self.isOfUs(complaint) ? nil : "\(program) \(Self.otherProgram)"
        case .exited(let code): manner = "ended with code \(code)"
        case .signalled(let number, _): manner = "was killed by \(SignalNames.name(of: number))"
        case .unknown: manner = "ended, nobody knows how"
        case nil: return "\(program) --check did not end within \(Int(limit.seconds)) s, and was killed"
        }
        return "\(program) --check \(manner)\(Self.reason(complaint))"
    }

    /// Any program can end with code 0; only a supervisor that has judged the takeover says so.
    private static func isOfUs(_ words: [UInt8]) -> Bool {
        String(decoding: words, as: UTF8.self).split(separator: "\n").contains { $0.hasPrefix(TakeoverCheck.mark) }
    }

    static let otherProgram =
        "is no supervisor that can take over: its --check ended well, and said nothing of a takeover. Put the new supervisor "
        + "there; a version that is too old for this serves after `agentctl shutdown` and a start"

    /// Its words. A version that does not know the question has judged something else, and the reader is told so.
    private static func reason(_ complaint: [UInt8]) -> String {
        var lines = String(decoding: complaint, as: UTF8.self).split(separator: "\n")
        let isKnown = lines.first?.hasPrefix(TakeoverCheck.mark) == true
        if isKnown { lines.removeFirst() }
        let version =
            isKnown
            ? "" : " (it is of another version, which judges the configuration on the disk instead of the one in force)"
        return version + (lines.isEmpty ? "" : ": " + lines.joined(separator: "; "))
    }

    private func patiently(
        _ limit: Nanoseconds, _ pause: (Int) -> Void
    ) throws -> (ending: ChildExit.Ending?, words: [UInt8]) {
        let run = ProgramRun(
            executable: program, arguments: ["--config", configurationFile, "--check"],
            environment: ProcessInfo.processInfo.environment.merging([Handover.takeover: runDirectory]) { $1 })
        for pauseMs in Self.busyPausesMs {
            do { return try run.end(within: limit, wordsUpTo: Self.maxComplaintBytes) } catch let error as PosixError
                where error.code == ETXTBSY
            {
                pause(pauseMs)
            }
        }
        return try run.end(within: limit, wordsUpTo: Self.maxComplaintBytes)
    }
}
