import CLinux
import Foundation

/// Why an agent did not come to its first instruction.
public struct LaunchFailure: Error, Equatable, Sendable, CustomStringConvertible {
    public enum Stage: Int32, Sendable {
        case request = 1
        case clone, session, signals, descriptors, cgroup, priority, sandbox, directory, limits, exec, user, birth
        /// The launcher itself could not be started, died, or did not answer in time.
        case launcher = 100
    }

    public let stage: Stage
    /// errno, 0 when there is none.
    public let code: Int32
    /// One line for people: what happened and what to do.
    public let message: String

    public var description: String { message }

    public init(stage: Stage, code: Int32, message: String) {
        self.stage = stage
        self.code = code
        self.message = message
    }

    /// Explains a kernel's refusal by looking at what was to be executed.
    init(stage rawStage: Int32, code: Int32, request: LaunchRequest) {
        let stage = Stage(rawValue: rawStage) ?? .launcher
        let reason = PosixError.reason(code)
        let message =
            switch stage {
            case .exec: Self.explainExec(request.executable, code, request.user)
            case .user: "the user \(request.user?.uid ?? 0) can't be taken on: \(reason)"
            case .clone: "no new process: \(reason); the machine is out of processes or memory"
            case .directory:
                "working directory \(request.workingDirectory): \(reason)\(Self.suffix(request.user, code))"
            case .limits: "limits refused by the kernel: \(reason); ask for no more than `ulimit -H -a` shows"
            case .cgroup: "control group refused the process: \(reason)"
            case .priority: "nice \(request.nice ?? 0): \(reason); less than the supervisor's own needs root"
            case .request: "launch request refused as malformed; supervisor and agent-launcher are of different builds"
            case .session, .signals: "the kernel gives it no session and no signals of its own: \(reason)"
            case .descriptors: "its pipes and sockets can't be handed to it: \(reason)"
            case .sandbox: "its own network can't be made: \(reason)"
            case .birth: "its birth can't be written down in the run directory: \(reason)"
            case .launcher: "agent-launcher: \(reason)"
            }
        self.init(stage: stage, code: code, message: message)
    }

    /// What the supervisor may and the agent's user may not is the likely reason.
    private static func suffix(_ user: LaunchRequest.User?, _ code: Int32) -> String {
        guard let user, code == EACCES else { return "" }
        return "; user \(user.uid) must be able to enter every folder on the way"
    }

    private static func explainExec(_ path: String, _ code: Int32, _ user: LaunchRequest.User?) -> String {
        let head = firstBytes(of: path)
        switch code {
        case ENOENT:
            guard FileManager.default.fileExists(atPath: path) else {
                return "\(path) does not exist; build it or correct `executable`"
            }
            if let interpreter = interpreter(in: head) {
                return
                    "\(path) needs the interpreter \(interpreter), which does not exist; install it or correct line 1"
            }
            return "\(path) needs a dynamic loader that does not exist here; rebuild it for this machine"
        case EACCES:
            var info = stat()
            if stat(path, &info) == 0, info.st_mode & S_IFMT == S_IFDIR {
                return "\(path) is a directory, not an executable"
            }
            if let interpreter = interpreter(in: head), access(path, X_OK) == 0 {
                return "\(path): its interpreter \(interpreter) may not be executed"
            }
            if let user, access(path, X_OK) == 0 {
                return "\(path) may not be executed by user \(user.uid)\(suffix(user, code))"
            }
            return "\(path) is not executable; chmod +x it (or its file system is mounted noexec)"
        case ENOEXEC:
            if head.starts(with: [0x7F, 0x45, 0x4C, 0x46]) {
                return "\(path) is built for another processor architecture (or damaged); rebuild it for this machine"
            }
            if head.isEmpty { return "\(path) is empty; was it copied completely?" }
            return "\(path) is neither a program for this machine nor a script with a `#!` first line"
        case ETXTBSY: return "\(path) is still being written; it is tried again until the copy is complete"
        case E2BIG: return "\(path): arguments and environment are larger than the kernel allows"
        default: return "\(path): \(PosixError.reason(code))"
        }
    }

    private static func firstBytes(of path: String) -> [UInt8] {
        let fd = qp_open(path, O_RDONLY | O_NONBLOCK, 0)
        guard fd >= 0 else { return [] }
        defer { close(fd) }
        var bytes = [UInt8](repeating: 0, count: 256)
        let count = retryingInterrupts { read(fd, &bytes, bytes.count) }
        return Array(bytes.prefix(max(0, count)))
    }

    private static func interpreter(in head: [UInt8]) -> String? {
        guard head.starts(with: Array("#!".utf8)) else { return nil }
        let line = head.dropFirst(2).prefix { $0 != 10 }
        return String(decoding: line, as: UTF8.self).split(separator: " ").first.map(String.init)
    }
}
