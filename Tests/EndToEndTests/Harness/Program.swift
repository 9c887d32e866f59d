import Foundation

/// A program that a test has started, with its output in files. Ended by the test, by pid, if it does not end itself.
final class Program {
    enum Exit: Equatable { case code(Int32), signal(Int32) }

    struct Failed: Error, CustomStringConvertible { var description: String }

    /// How it ended and all it said.
    struct Outcome {
        var exit: Exit
        var output: String
        var error: String
    }

    let pid: pid_t
    let name: String
    private(set) var exit: Exit?
    private let outputFile: String
    private let errorFile: String
    private let removesFiles: Bool

    /// - Parameters:
    ///   - environment: Added to PATH and HOME; nothing else is inherited.
    ///   - folder: Where it runs, and where `NAME.out` and `NAME.err` go; nil: to a place of their own, removed at the end.
    init(
        _ path: String, _ arguments: [String], environment: [String: String] = [:], in folder: String? = nil,
        name: String? = nil
    ) throws {
        let place = try folder ?? Self.temporaryFolder()
        removesFiles = folder == nil
        self.name = name ?? (path as NSString).lastPathComponent
        outputFile = "\(place)/\(self.name).out"
        errorFile = "\(place)/\(self.name).err"

        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        let writing = O_WRONLY | O_CREAT | O_TRUNC
        posix_spawn_file_actions_addopen(&actions, 1, outputFile, writing, 0o600)
        posix_spawn_file_actions_addopen(&actions, 2, errorFile, writing, 0o600)

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var nothing = sigset_t()
        sigemptyset(&nothing)
        var everything = sigset_t()
        sigfillset(&everything)
        posix_spawnattr_setsigmask(&attributes, &nothing)
        posix_spawnattr_setsigdefault(&attributes, &everything)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))

        var variables = environment
        for name in ["PATH", "HOME"] where variables[name] == nil {
            variables[name] = ProcessInfo.processInfo.environment[name]
        }
        var child: pid_t = 0
        // env(1) changes the directory and becomes the program.
        let env = "/usr/bin/env"
        let code = Self.withCStrings([env, "-C", place, path] + arguments) { arguments in
            Self.withCStrings(variables.map { "\($0)=\($1)" }) { environment in
                posix_spawn(&child, env, &actions, &attributes, arguments, environment)
            }
        }
        guard code == 0 else { throw Failed(description: "\(path): \(String(cString: strerror(code)))") }
        pid = child
    }

    deinit {
        if !hasEnded { kill() }
        if removesFiles {
            try? FileManager.default.removeItem(atPath: (outputFile as NSString).deletingLastPathComponent)
        }
    }

    /// Runs a program to its end.
    static func run(
        _ path: String, _ arguments: [String], environment: [String: String] = [:],
        within seconds: Double = patienceSeconds
    ) throws -> Outcome {
        let program = try Program(path, arguments, environment: environment)
        return try program.outcome(within: seconds)
    }

    var output: String { Self.text(outputFile) }
    var error: String { Self.text(errorFile) }

    var hasEnded: Bool {
        if exit != nil { return true }
        var status: Int32 = 0
        guard waitpid(pid, &status, WNOHANG) == pid else { return false }
        let signal = status & 0x7F
        exit = signal == 0 ? .code(status >> 8 & 0xFF) : .signal(signal)
        return true
    }

    func outcome(within seconds: Double = patienceSeconds) throws -> Outcome {
        let exit = try eventually(
            "\(name) ends", within: seconds, detail: { "\(output)\n\(error)" }, { hasEnded ? self.exit : nil })
        return Outcome(exit: exit, output: output, error: error)
    }

    func signal(_ number: Int32) {
        if !hasEnded { Glibc.kill(pid, number) }
    }

    /// At once, and waits for it.
    func kill() {
        signal(SIGKILL)
        _ = try? eventually("\(name) is dead", within: 60) { hasEnded ? true : nil }
    }

    private static func text(_ file: String) -> String {
        String(decoding: FileManager.default.contents(atPath: file) ?? Data(), as: UTF8.self)
    }

    static func temporaryFolder() throws -> String {
        var template = Array("/tmp/qp-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Failed(description: "no folder in /tmp: \(errno)") }
        return String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    private static func withCStrings<Value>(
        _ strings: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> Value
    ) -> Value {
        let pointers: [UnsafeMutablePointer<CChar>?] = strings.map { strdup($0) }
        defer { for pointer in pointers { free(pointer) } }
        return body(pointers + [nil])
    }
}
