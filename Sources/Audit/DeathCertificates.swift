import Glibc
import Wire

/// The death certificates that a run directory keeps.
public enum DeathCertificates {
    /// Larger files are no certificates.
    static let maxBytes = 1 << 20

    /// Of one agent, newest first; empty if it has not ended yet.
    public static func read(runDirectory: String, agent: String) -> [DeathCertificate] {
        let folder = "\(runDirectory)/agents/\(agent)/\(DeathCertificate.folderName)"
        return names(in: folder).sorted(by: >).compactMap { number in
            file("\(folder)/\(number).json").flatMap { try? DeathCertificate(json: $0) }
        }
    }

    /// The newest of one agent; nil if it has none, or that can't be read.
    ///
    /// - Parameter folder: `<run>/agents/<Name>`.
    public static func newest(folder: String) -> DeathCertificate? {
        let exits = "\(folder)/\(DeathCertificate.folderName)"
        guard let number = names(in: exits).max(), let bytes = file("\(exits)/\(number).json") else { return nil }
        return try? DeathCertificate(json: bytes)
    }

    /// The last number that was given to a process of an agent; nil: it never had one, or that is not recorded.
    public static func lastIncarnation(runDirectory: String, agent: String) -> UInt64? {
        guard let bytes = file("\(runDirectory)/agents/\(agent)/incarnation") else { return nil }
        return UInt64(String(decoding: bytes.prefix { $0 != 10 }, as: UTF8.self)).flatMap { $0 > 0 ? $0 : nil }
    }

    /// Agents that have a place in the run directory.
    public static func agents(runDirectory: String) -> [String] {
        (try? RunDirectory(path: runDirectory).agents()) ?? []
    }

    /// Numbers of the incarnations that have one.
    static func names(in folder: String) -> [UInt64] {
        guard let directory = opendir(folder) else { return [] }
        defer { closedir(directory) }
        var numbers: [UInt64] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name.hasSuffix(".json"), let number = UInt64(name.dropLast(5)) { numbers.append(number) }
        }
        return numbers
    }

    /// Writes one and removes those beyond ``DeathCertificate/kept``. Whole or not at all: it is renamed into its place.
    ///
    /// - Parameter folder: `<run>/agents/<Name>`.
    /// - Returns: why it could not be written; nil when it was.
    public static func write(_ certificate: DeathCertificate, folder: String) -> String? {
        let exits = "\(folder)/\(DeathCertificate.folderName)"
        if mkdir(exits, 0o700) == -1, errno != EEXIST { return "\(exits): \(String(cString: strerror(errno)))" }
        // By a descriptor of our own folder: an agent may have put a link, or a pipe that blocks, under any of these names.
        let directory = open(exits, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard directory >= 0 else { return "\(exits): \(String(cString: strerror(errno)))" }
        defer { close(directory) }
        var info = stat()
        guard fstat(directory, &info) == 0, info.st_uid == geteuid() else {
            return "\(exits) is not the supervisor's own; remove it"
        }
        let name = "\(certificate.incarnation).json"
        unlinkat(directory, draftName, 0)
        let file = openat(directory, draftName, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard file >= 0 else { return "\(exits)/\(draftName): \(String(cString: strerror(errno)))" }
        let bytes = certificate.json
        let written = Glibc.write(file, bytes, bytes.count)
        let reason = String(cString: strerror(errno))
        close(file)
        guard written == bytes.count, renameat(directory, draftName, directory, name) == 0 else {
            unlinkat(directory, draftName, 0)
            return "\(exits)/\(name): \(written == -1 ? reason : "no room")"
        }
        for old in names(in: exits).sorted(by: >).dropFirst(DeathCertificate.kept) {
            unlinkat(directory, "\(old).json", 0)
        }
        return nil
    }

    private static let draftName = ".draft"

    private static func file(_ path: String) -> [UInt8]? {
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        while bytes.count <= maxBytes {
            let count = Glibc.read(file, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return count == 0 ? bytes : nil }
            bytes += chunk[..<count]
        }
        return nil
    }
}
