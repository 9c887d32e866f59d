import CLinux
import Foundation

/// Whether a program can take the supervisor's place: it is run with `--check` first, on a thread of its own, and told by
/// ``Handover/takeover`` which run directory it would take over: it judges the configuration in force there, as it would be
/// taken over (``StartConfiguration/takeoverFaults(configurationFile:programDirectory:)``), and not what is on the disk.
struct UpgradeCheck: Sendable {
    /// How long it may think; then it is killed and refused. Everything goes on meanwhile, so that a slow machine is no reason.
    static let timeoutSeconds = 60.0
    /// Bytes of its complaints that are told.
    static let maxComplaintBytes = 4_096
    private static let pauseUs: UInt32 = 5_000
    /// How long a program may stay open for writing: while it is copied, or while a process that was forked meanwhile
    /// has not executed anything yet (`ETXTBSY`).
    /// Few tries, since each leaves descriptors behind in Foundation.
    static let busyPausesMs = [10, 20, 40, 80, 160, 320, 640, 1_280]

    /// How a program's words begin that knows ``Handover/takeover``: it has judged the configuration in force.
    static let mark = "takeover check"

    let program: String
    let configurationFile: String
    let runDirectory: String

    /// Why not; nil: it can. Blocks; `pause` waits so many milliseconds before a busy program is tried again.
    func run(pause: (Int) -> Void = { usleep(UInt32($0) * 1_000) }) -> String? {
        guard FileManager.default.isExecutableFile(atPath: program) else {
            return "\(program) is missing or not executable; put the new program there"
        }
        let errors = Pipe()
        let process: Process
        do { process = try start(errors, pause: pause) } catch {
            let reason = Self.reason(error)
            if Self.isBusy(reason) {
                return "\(program) is still being written; upgrade again when its copy is complete"
            }
            return "\(program) can't be executed: \(reason.localizedDescription)"
        }
        try? errors.fileHandleForWriting.close()
        let fd = errors.fileHandleForReading.fileDescriptor
        _ = qp_set_nonblocking(fd)
        var complaint: [UInt8] = []
        var rounds = Int(Self.timeoutSeconds * 1e6) / Int(Self.pauseUs)
        while process.isRunning, rounds > 0 {
            Self.read(fd, &complaint)
            usleep(Self.pauseUs)
            rounds -= 1
        }
        if process.isRunning {
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
            return "\(program) --check did not end within \(Int(Self.timeoutSeconds)) s, and was killed"
        }
        Self.read(fd, &complaint)
        if process.terminationReason == .exit, process.terminationStatus == 0 { return nil }
        let manner =
            process.terminationReason == .exit
            ? "ended with code \(process.terminationStatus)" : "was killed by signal \(process.terminationStatus)"
        return "\(program) --check \(manner)\(Self.reason(complaint))"
    }

    /// Its words. A version that does not know the question has judged something else, and the reader is told so.
    private static func reason(_ complaint: [UInt8]) -> String {
        var lines = String(decoding: complaint, as: UTF8.self).split(separator: "\n")
        let isKnown = lines.first?.hasPrefix(mark) == true
        if isKnown { lines.removeFirst() }
        let version =
            isKnown
            ? "" : " (it is of another version, which judges the configuration on the disk instead of the one in force)"
        return version + (lines.isEmpty ? "" : ": " + lines.joined(separator: "; "))
    }

    private func start(_ errors: Pipe, pause: (Int) -> Void) throws -> Process {
        for pauseMs in Self.busyPausesMs {
            do { return try launch(errors) } catch {
                guard Self.isBusy(Self.reason(error)) else { throw error }
            }
            pause(pauseMs)
        }
        return try launch(errors)
    }

    private func launch(_ errors: Pipe) throws -> Process {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = ["--config", configurationFile, "--check"]
        process.environment = ProcessInfo.processInfo.environment.merging([Handover.takeover: runDirectory]) { $1 }
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        process.standardError = errors
        try process.run()
        return process
    }

    /// What the system said, which Foundation wraps.
    private static func reason(_ error: any Error) -> NSError {
        let error = error as NSError
        return error.userInfo[NSUnderlyingErrorKey] as? NSError ?? error
    }

    private static func isBusy(_ error: NSError) -> Bool {
        error.domain == NSPOSIXErrorDomain && error.code == Int(ETXTBSY)
    }

    /// More than is told is read and dropped, so that a talkative one does not block.
    private static func read(_ fd: Int32, _ into: inout [UInt8]) {
        var chunk = [UInt8](repeating: 0, count: 4_096)
        while true {
            let count = Glibc.read(fd, &chunk, chunk.count)
            guard count > 0 else { return }
            into.append(contentsOf: chunk[..<count].prefix(maxComplaintBytes - into.count))
        }
    }
}
