import ArgumentParser
import Glibc
import Wire

/// Where the supervisor listens.
package struct SocketOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The supervisor's control socket.", valueName: "path"))
    var socket: String?

    package init() {}

    func path() throws -> String { try Self.path(socket) }

    /// `--socket`, else `$QP_SOCKET`, else what ./supervisor.json says.
    static func path(_ socket: String?) throws -> String {
        if let socket { return socket }
        if let variable = getenv("QP_SOCKET") {
            let path = String(cString: variable)
            if !path.isEmpty { return path }
        }
        return try pathOfLocalSupervisor(in: currentDirectory())
    }

    /// The folder that the socket lies in; records of the supervisor and its agents are under it.
    package func runDirectory() throws -> String {
        let path = try path()
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    func client() throws -> ControlClient { try ControlClient(path: try path()) }

    /// A file that is missing or half-written must not keep `halt` from a supervisor that lives: then the one that answers in
    /// the run directory that the text still names, or in the usual one, is meant.
    static func pathOfLocalSupervisor(in directory: String) throws -> String {
        let file = directory + "/supervisor.json"
        let bytes = readFile(file)
        let trouble: String
        if let bytes {
            switch SupervisorConfiguration.runDirectory(in: bytes, file: file) {
            case .success(let directory): return directory + "/control.sock"
            case .failure(let errors): trouble = "\(errors)"
            }
        } else {
            trouble = "no supervisor.json in this folder to find the control socket by"
        }
        for runDirectory in SupervisorConfiguration.likelyRunDirectories(in: bytes ?? [], file: file) {
            let socket = runDirectory + "/control.sock"
            guard ControlClient.isAnswered(at: socket) else { continue }
            Terminal.complain("agentctl: \(trouble)\nagentctl: the supervisor at \(socket) is meant")
            return socket
        }
        let remedy =
            bytes == nil ? "; change to the supervisor's folder, or" : "\nagentctl: or"
        throw Failure(.noSupervisor, "\(trouble)\(remedy) name the socket with --socket or QP_SOCKET")
    }

    private static func currentDirectory() -> String {
        guard let path = getcwd(nil, 0) else { return "." }
        defer { free(path) }
        return String(cString: path)
    }

    /// nil when it can't be read, or is longer than a configuration may be.
    private static func readFile(_ path: String) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        while bytes.count <= Limits.maxConfigurationBytes {
            let count = read(descriptor, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return count == 0 ? bytes : nil }
            bytes += chunk[..<count]
        }
        return nil
    }
}
