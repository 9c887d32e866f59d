import Commands
import Glibc

/// The other program of agentctl, which lies beside this one.
enum OtherProgram {
    static let name = "agentctl-records"

    /// Becomes it, with the same arguments; returns only why that can't be.
    static func execute() -> Failure {
        let path = folder + "/" + name
        execv(path, CommandLine.unsafeArgv)
        return Failure(
            .refused,
            "\(path) cannot be run: \(String(cString: strerror(errno))). It belongs beside agentctl and does what "
                + "reads the records of a run, and help; install both")
    }

    /// Of this program, behind any symbolic link.
    private static var folder: String {
        var bytes = [UInt8](repeating: 0, count: Int(PATH_MAX))
        let count = readlink("/proc/self/exe", &bytes, bytes.count)
        guard count > 0, let slash = bytes[..<count].lastIndex(of: UInt8(ascii: "/")) else { return "." }
        return String(decoding: bytes[..<slash], as: UTF8.self)
    }
}
