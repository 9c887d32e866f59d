import Foundation

/// Where the built programs, the repository and the shared data are.
enum Programs {
    /// The build puts the programs beside the test bundle, which is the running program.
    static let directory = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        .deletingLastPathComponent().path
    static let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().path

    static let supervisor = "\(directory)/supervisor"
    static let agentctl = "\(directory)/agentctl"

    static let data = URL(fileURLWithPath: "\(repository)/../shared/data").standardizedFileURL.path
    static let bitcoinRecording = "\(data)/l2/binance_usdm_btcusdt_20240808.gz"
    static var hasData: Bool { FileManager.default.fileExists(atPath: bitcoinRecording) }

    static var hasPython: Bool {
        (try? Program.run("/usr/bin/env", ["python3", "-c", "pass"]))?.exit == .code(0)
    }
}
