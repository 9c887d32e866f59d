import CLinux
import Foundation

/// Whether a program can take the supervisor's place: it is run with `--check` first, on a thread of its own.
struct UpgradeCheck: Sendable {
    /// How long it may think; then it is killed and refused.
    static let timeoutSeconds = 20.0
    /// Bytes of its complaints that are told.
    static let maxComplaintBytes = 4_096
    private static let pauseUs: UInt32 = 5_000

    let program: String
    let configurationFile: String

    /// Why not; nil: it can. Blocks.
    func run() -> String? {
        guard FileManager.default.isExecutableFile(atPath: program) else {
            return "\(program) is missing or not executable; put the new program there"
        }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = ["--config", configurationFile, "--check"]
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        let errors = Pipe()
        process.standardError = errors
        do { try process.run() } catch {
            return "\(program) can't be executed: \(error.localizedDescription)"
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
