import Foundation
import Testing

@testable import Host

/// Where the build put the executables.
enum Binaries {
    /// The build folder holds the executables beside the test bundle; found from the running process and this file.
    static func path(of name: String) throws -> String {
        let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        var candidates = [
            Bundle.main.bundleURL.path, URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent().path,
        ]
        candidates += CommandLine.arguments.filter { $0.hasSuffix(".xctest") }
            .map { URL(fileURLWithPath: $0).deletingLastPathComponent().path }
        candidates += ["debug", "release"].map { package.appendingPathComponent(".build/\($0)").path }
        let found = candidates.map { "\($0)/\(name)" }.first { FileManager.default.isExecutableFile(atPath: $0) }
        return try #require(found, "\(name) must have been built")
    }

    static func launcher() throws -> String { try path(of: "agent-launcher") }
}

/// Runs a program to its end; its exit code and all that it said.
func outcome(of program: String, _ arguments: [String]) throws -> (code: Int32, text: String) {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: program)
    process.arguments = arguments
    let pipe = Pipe()
    (process.standardOutput, process.standardError) = (pipe, pipe)
    try process.run()
    let text = String(decoding: try pipe.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
    process.waitUntilExit()
    return (process.terminationStatus, text)
}

struct TemporaryDirectory {
    let path: String

    /// Writes a file and returns its path.
    func file(_ name: String, _ content: String, mode: mode_t = 0o644) throws -> String {
        let full = "\(path)/\(name)"
        try Data(content.utf8).write(to: URL(fileURLWithPath: full))
        chmod(full, mode)
        if mode & 0o111 != 0 { try waitUntilNobodyWrites(full) }
        return full
    }
}

/// A process that another test forked while this file was being written keeps it open for writing until it executes
/// something, and so long nobody can execute the file. The kernel grants a read lease only when there is no such process
/// (fcntl(2), F_SETLEASE); where it grants none at all, the file is taken as it is.
func waitUntilNobodyWrites(_ path: String) throws {
    let setLease: Int32 = 1024
    let file = try Descriptor.open(path, O_RDONLY)
    for _ in 0..<6_000 {
        if fcntl(file.raw, setLease, F_RDLCK) == 0 || errno != EAGAIN { return }
        usleep(10_000)
    }
    Issue.record("\(path) is still open for writing after a minute")
}

/// Copies a program that is executed afterwards.
func copyProgram(_ source: String, to path: String) throws {
    try FileManager.default.copyItem(atPath: source, toPath: path)
    try waitUntilNobodyWrites(path)
}

/// A fresh directory with a short path (Unix socket paths end at 107 bytes), removed afterwards.
func withTemporaryDirectory<T>(_ body: (TemporaryDirectory) throws -> T) throws -> T {
    var template = Array("/tmp/qp-XXXXXX\0".utf8CString.dropLast())
    let path = try template.withUnsafeMutableBufferPointer { buffer in
        String(cString: try #require(mkdtemp(buffer.baseAddress!)))
    }
    defer { try? FileManager.default.removeItem(atPath: path) }
    return try body(TemporaryDirectory(path: path))
}
