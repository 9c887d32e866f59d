import Glibc

/// Why the keyring can't be used: where, what is wrong, and what to do.
public struct AuthorityError: Error, Equatable, Sendable, CustomStringConvertible {
    public let description: String

    init(_ description: String) {
        self.description = description
    }

    /// A failed system call; reads `errno`.
    static func call(_ name: String, _ path: String) -> AuthorityError {
        AuthorityError("\(path): \(name): \(String(cString: strerror(errno)))")
    }
}
