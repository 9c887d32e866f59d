/// What the loader may ask of a disk. The host reads real files; tests answer from dictionaries.
public protocol ConfigurationSource {
    /// The whole file, or why it can't be read.
    func contents(ofFile path: String) throws(ConfigurationSourceError) -> [UInt8]
    /// The entries of a directory, in any order.
    func entries(ofDirectory path: String) throws(ConfigurationSourceError) -> [DirectoryEntry]
    /// What is at this path as a program.
    func executable(at path: String) -> ExecutableCheck
    /// Whether this machine has a user of this name.
    func hasUser(named name: String) -> Bool
    /// Names of the regular files in a folder that may be executed, in any order; of a
    /// large one not of all.
    func programs(inFolder path: String) -> [String]
}

extension ConfigurationSource {
    public func hasUser(named name: String) -> Bool { true }

    public func programs(inFolder path: String) -> [String] {
        ((try? entries(ofDirectory: path)) ?? []).filter { $0.kind == .executableFile }.map(\.name)
    }
}

public enum ConfigurationSourceError: Error, Sendable, Hashable {
    case notFound
    case notPermitted
    case isDirectory
    /// Above `Limits.maxConfigurationBytes`.
    case tooLarge
    /// What the system said.
    case other(String)
}

public struct DirectoryEntry: Sendable, Hashable {
    public enum Kind: Sendable, Hashable {
        case directory
        /// A regular file that may be executed.
        case executableFile
        /// A regular file that begins like a program (`#!` or ELF) and may not be executed.
        case programWithoutPermission
        /// Any other regular file.
        case plainFile
        case other
    }

    public var name: String
    public var kind: Kind

    public init(name: String, kind: Kind) {
        self.name = name
        self.kind = kind
    }
}

public enum ExecutableCheck: Sendable, Hashable {
    case executable, missing, notExecutable, isDirectory
    /// A program of another machine or format; says which.
    case wrongFormat(String)
}
