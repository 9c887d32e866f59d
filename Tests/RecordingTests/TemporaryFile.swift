import Foundation

/// A file that goes away with the test.
struct TemporaryFile: ~Copyable {
    let path: String

    init(_ bytes: [UInt8], suffix: String = "") {
        path = "/tmp/qp-\(UUID().uuidString.prefix(8))\(suffix)"
        precondition(FileManager.default.createFile(atPath: path, contents: Data(bytes)))
    }

    init(_ text: String, suffix: String = "") {
        self.init(Array(text.utf8), suffix: suffix)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// gzip of some bytes, by the system's own tool: an implementation that is not ours.
func gzipped(_ bytes: [UInt8]) throws -> [UInt8] {
    let plain = TemporaryFile(bytes)
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/gzip")
    process.arguments = ["-c", "-n", plain.path]
    let pipe = Pipe()
    process.standardOutput = pipe
    try process.run()
    let data = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return [UInt8](data)
}
