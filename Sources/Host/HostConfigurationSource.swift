import CLinux
import Foundation
import Wire

/// Real files for the configuration loader.
public struct HostConfigurationSource: ConfigurationSource {
    /// Entries of a folder without a manifest that are looked at for a program.
    static let maxFolderEntries = 256

    public init() {}

    public func contents(ofFile path: String) throws(ConfigurationSourceError) -> [UInt8] {
        // Not blocking: a named pipe in place of the file must not hang the supervisor.
        let fd = qp_open(path, O_RDONLY | O_NONBLOCK, 0)
        guard fd >= 0 else { throw Self.error(errno) }
        defer { close(fd) }
        var info = stat()
        guard fstat(fd, &info) == 0 else { throw Self.error(errno) }
        if info.st_mode & S_IFMT == S_IFDIR { throw .isDirectory }
        guard info.st_mode & S_IFMT == S_IFREG else { throw .other("it is not a regular file") }
        var content: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 * 1024)
        while true {
            let count = retryingInterrupts { read(fd, &chunk, chunk.count) }
            if count < 0 { throw Self.error(errno) }
            if count == 0 { return content }
            content.append(contentsOf: chunk[..<count])
            if content.count > Limits.maxConfigurationBytes { throw .tooLarge }
        }
    }

    public func entries(ofDirectory path: String) throws(ConfigurationSourceError) -> [DirectoryEntry] {
        guard let directory = opendir(path) else { throw Self.error(errno) }
        defer { closedir(directory) }
        var entries: [DirectoryEntry] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name == "." || name == ".." { continue }
            entries.append(DirectoryEntry(name: name, kind: Self.kind(of: "\(path)/\(name)")))
        }
        return entries
    }

    public func executable(at path: String) -> ExecutableCheck {
        var info = stat()
        guard stat(path, &info) == 0 else { return .missing }
        if info.st_mode & S_IFMT == S_IFDIR { return .isDirectory }
        guard info.st_mode & S_IFMT == S_IFREG, access(path, X_OK) == 0 else { return .notExecutable }
        if let format = Self.foreignFormat(of: path) { return .wrongFormat(format) }
        return .executable
    }

    public func hasUser(named name: String) -> Bool { Account.find(name) != nil }

    public func programs(inFolder path: String) -> [String] {
        guard let directory = opendir(path) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        for _ in 0..<Self.maxFolderEntries {
            guard let entry = readdir(directory) else { break }
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            var info = stat()
            guard stat("\(path)/\(name)", &info) == 0, info.st_mode & S_IFMT == S_IFREG,
                access("\(path)/\(name)", X_OK) == 0
            else { continue }
            names.append(name)
        }
        return names
    }

    private static func error(_ code: Int32) -> ConfigurationSourceError {
        switch code {
        case ENOENT, ENOTDIR: .notFound
        case EACCES, EPERM: .notPermitted
        case EISDIR: .isDirectory
        default: .other(PosixError.reason(code))
        }
    }

    private static func kind(of path: String) -> DirectoryEntry.Kind {
        var info = stat()
        guard stat(path, &info) == 0 else { return .other }
        if info.st_mode & S_IFMT == S_IFDIR { return .directory }
        guard info.st_mode & S_IFMT == S_IFREG else { return .other }
        if access(path, X_OK) == 0 { return .executableFile }
        let head = firstBytes(of: path)
        let looksLikeProgram = head.starts(with: Array("#!".utf8)) || head.starts(with: elfMagic)
        return looksLikeProgram ? .programWithoutPermission : .plainFile
    }

    private static let elfMagic: [UInt8] = [0x7F, 0x45, 0x4C, 0x46]

    /// What an ELF file is for, when it is not for this machine (class, byte order and e_machine; elf(5)).
    private static func foreignFormat(of path: String) -> String? {
        let head = firstBytes(of: path)
        guard head.starts(with: elfMagic), head.count >= 20, let own = ownHeader, own.count >= 20 else { return nil }
        if head[4] == own[4], head[5] == own[5], head[18] == own[18], head[19] == own[19] { return nil }
        let bits = head[4] == 2 ? "64-bit" : "32-bit"
        let machine = head[5] == 1 ? Int(head[18]) | Int(head[19]) << 8 : Int(head[19]) | Int(head[18]) << 8
        let names = [3: "x86", 8: "MIPS", 20: "PowerPC", 40: "ARM", 62: "x86-64", 183: "ARM64", 243: "RISC-V"]
        return "\(bits) ELF for \(names[machine] ?? "machine \(machine)")"
    }

    private static let ownHeader: [UInt8]? = firstBytes(of: "/proc/self/exe")

    private static func firstBytes(of path: String) -> [UInt8] {
        let fd = qp_open(path, O_RDONLY | O_NONBLOCK, 0)
        guard fd >= 0 else { return [] }
        defer { close(fd) }
        var bytes = [UInt8](repeating: 0, count: 64)
        let count = retryingInterrupts { read(fd, &bytes, bytes.count) }
        return Array(bytes.prefix(max(0, count)))
    }
}
