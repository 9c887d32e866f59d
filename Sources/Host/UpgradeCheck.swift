import CLinux
import Foundation

/// Whether a program can take the supervisor's place: it is run with `--check` first, on a thread of its own.
struct UpgradeCheck: Sendable {
    /// How long it may think; then it is killed and refused.
    static let timeoutSeconds = 20.0
    /// Bytes of its complaints that are told.
    static let maxComplaintBytes = 4_096
    private static let pauseUs: UInt32 = 5_000
    /// How long a program may stay open for writing: while it is copied, or while a process that was forked meanwhile
    /// has not executed anything yet (`ETXTBSY`).
    static let busyLimitMs = 2_000
    static let busyPauseMs = 10

    let program: String
    let configurationFile: String

    /// Why not; nil: it can. Blocks; `pause` waits so many milliseconds before a busy program is tried again.
    func run(pause: (Int) -> Void = { usleep(UInt32($0) * 1_000) }) -> String? {
        guard FileManager.default.isExecutableFile(atPath: program) else {
            return "\(program) is missing or not executable; put the new program there"
        }
        let errors = Pipe()
        let process: Process
        do { process = try start(errors, pause: pause) } catch {
            let reason = (error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError ?? error as NSError
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
            return "\(program) --check did not end within \(Int(Self.timeoutSeconds)) s"
        }
        Self.read(fd, &complaint)
        if process.terminationReason == .exit, process.terminationStatus == 0 { return nil }
        let manner =
            process.terminationReason == .exit
            ? "ended with code \(process.terminationStatus)" : "was killed by signal \(process.terminationStatus)"
        let text = String(decoding: complaint, as: UTF8.self).split(separator: "\n").joined(separator: "; ")
        return "\(program) --check \(manner)\(text.isEmpty ? "" : ": \(text)")"
    }

    private func start(_ errors: Pipe, pause: (Int) -> Void) throws -> Process {
        var waitedMs = 0
        while true {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: program)
            process.arguments = ["--config", configurationFile, "--check"]
            process.standardInput = FileHandle.nullDevice
            process.standardOutput = FileHandle.nullDevice
            process.standardError = errors
            do {
                try process.run()
                return process
            } catch let error as NSError {
                let reason = error.userInfo[NSUnderlyingErrorKey] as? NSError ?? error
                guard Self.isBusy(reason), waitedMs < Self.busyLimitMs else { throw error }
            }
            pause(Self.busyPauseMs)
            waitedMs += Self.busyPauseMs
        }
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
