import Glibc

/// A file beside an agent's journal that says that there has been one: without it, an agent whose journal was moved away
/// could not be told from one that starts for the first time.
enum BegunMark {
    static let name = "begun"

    static func exists(in directory: String) -> Bool { access("\(directory)/\(name)", F_OK) == 0 }

    /// Throws `AgentFailure` when it can't be written.
    static func leave(in directory: String) throws {
        let path = "\(directory)/\(name)"
        let descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw AgentFailure("\(path): \(String(cString: strerror(errno))); correct the folder's owner and mode")
        }
        close(descriptor)
    }
}
