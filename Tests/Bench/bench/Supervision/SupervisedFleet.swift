import Foundation

/// One peer with its agents, running in a directory that goes at the end.
final class SupervisedFleet {
    static let startSeconds = 30.0
    static let stopSeconds = 20.0

    let peer: any Peer
    let count: Int
    let directory: String
    let stamps: Stamps
    /// The one that runs, or ran last.
    private(set) var supervisor: pid_t = 0
    /// From the start of the supervisor's process to the first instruction of the last agent; milliseconds.
    private(set) var coldStartMs = 0.0

    /// `mode`: of the `stamp` agent with a number.
    init(_ peer: any Peer, count: Int, programs: String, mode: (Int) -> String = { _ in "plain" }) throws {
        self.peer = peer
        self.count = count
        let directory = try Self.makeDirectory()
        self.directory = directory
        let stamps = try Stamps(path: "\(directory)/fifo")
        self.stamps = stamps
        let program = "\(directory)/stamp"
        try FileManager.default.copyItem(atPath: "\(programs)/stamp", toPath: program)
        try peer.prepare(directory, count: count) { folder, number in
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            guard link(program, "\(folder)/run") == 0 else { throw BenchError(description: "no link in \(folder)") }
            try "\(stamps.path) \(number) \(mode(number))\n".write(
                toFile: "\(folder)/stamp.conf", atomically: false, encoding: .utf8)
        }
    }

    /// In memory, like /run, where the peers keep their state: what a disk has to do at the moment is no supervisor's merit.
    private static func makeDirectory() throws -> String {
        for parent in ["/dev/shm", "/tmp"] {
            var template = Array("\(parent)/qp-XXXXXX".utf8CString)
            guard mkdtemp(&template) != nil else { continue }
            let directory = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
            let probe = "\(directory)/probe"
            // Where nothing may be executed, no agent can be.
            if FileManager.default.createFile(atPath: probe, contents: nil, attributes: [.posixPermissions: 0o755]),
                access(probe, X_OK) == 0, unlink(probe) == 0
            {
                return directory
            }
            try? FileManager.default.removeItem(atPath: directory)
        }
        throw BenchError(description: "no temporary directory for programs under /dev/shm or /tmp")
    }

    deinit {
        try? FileManager.default.removeItem(atPath: directory)
    }

    /// Starts the supervisor and waits for the agents whose numbers are in `healthy` (all, without).
    func start(healthy: Range<Int>? = nil) throws {
        let begun = try launch()
        let stamps = try stamps.all(healthy ?? 0..<count, after: begun, within: Self.startSeconds)
        coldStartMs = stamps.values.map(\.at).max().map { Double($0 - begun) / 1e6 } ?? 0
    }

    /// Starts the supervisor's program; returns when.
    @discardableResult
    func launch() throws -> Int64 {
        let command = peer.command(directory)
        let begun = monotonic()
        supervisor = try Child.start(command.program, command.arguments)
        return begun
    }

    /// kill -9 of the supervisor alone.
    func killSupervisor() {
        kill(supervisor, SIGKILL)
        Child.wait(supervisor)
    }

    func stop() {
        peer.stop(supervisor, directory)
        if !Child.hasEnded(supervisor, within: Self.stopSeconds) {
            kill(supervisor, SIGKILL)
            Child.wait(supervisor)
        }
        // What it left behind, and the small supervisors of single agents whose parent was killed: what works in this directory
        // was started here. Twice, because a small one may have started an agent meanwhile.
        for _ in 0..<2 {
            for process in FleetProcess.all(in: directory) { kill(process.pid, SIGKILL) }
        }
    }

    var figures: ProcessFigures { ProcessFigures(root: supervisor, agent: "run") }

    /// Kills the newest incarnation of an agent; returns when.
    func killAgent(_ number: Int) throws -> Int64 {
        guard let stamp = stamps.latest[number] else { throw BenchError(description: "agent \(number) never came") }
        let now = monotonic()
        guard kill(stamp.pid, SIGKILL) == 0 else {
            throw BenchError(
                description: "agent \(number) (\(stamp.pid)) was gone: \(String(cString: strerror(errno)))")
        }
        return now
    }
}
