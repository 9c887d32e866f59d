import CLinux
import Foundation
import Wire

/// `<run>/configuration`: the configuration in force, as it was read, for a successor: it takes the living agents over with
/// what they run with, whatever has become of the files meanwhile. Replaced as a whole; gone after an ordered end.
/// Not flushed: a power loss leaves nobody alive who would need it.
///
/// Format: magic, CRC-32C of the rest (4 bytes, little-endian), then length-prefixed parts.
struct KeptConfiguration {
    static let name = "configuration"
    /// Of the file; a larger configuration is not kept.
    static let maxBytes = 64 << 20
    private static let magic = Array("QPCONF01".utf8)

    /// supervisor.json.
    let file: String
    let agentsDirectory: String
    let content: ConfigurationRecord.Content
    /// The agents' programs, as they count, by name.
    let stamps: [String: ExecutableStamp]
    /// What each agent is launched with, by name.
    let prints: [String: UInt64]

    struct Damaged: Error, CustomStringConvertible {
        let description: String
    }

    static func path(in run: String) -> String { "\(run)/\(name)" }

    static func remove(in run: String) {
        unlink(path(in: run))
        unlink(freshPath(in: run))
    }

    private static func freshPath(in run: String) -> String { path(in: run) + ".new" }

    func write(in run: String) throws {
        let body = body
        guard body.count + Self.magic.count + 4 <= Self.maxBytes else {
            throw PosixError("write", Self.path(in: run), code: EFBIG)
        }
        var bytes = Self.magic
        withUnsafeBytes(of: Self.checksum(body[...]).littleEndian) { bytes += $0 }
        bytes += body
        let fresh = Self.freshPath(in: run)
        unlink(fresh)
        let target = try Descriptor.open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW)
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { part in
                retryingInterrupts { Glibc.write(target.raw, part.baseAddress, part.count) }
            }
            guard count > 0 else {
                let error = PosixError("write", fresh)
                unlink(fresh)
                throw error
            }
            rest = rest.dropFirst(count)
        }
        try check(rename(fresh, Self.path(in: run)), "rename", fresh)
    }

    private var body: [UInt8] {
        var writer = LengthPrefixedWriter()
        writer.text(file)
        writer.text(agentsDirectory)
        content.write(to: &writer)
        writer.number(stamps.count)
        for (agent, stamp) in stamps.sorted(by: { $0.key < $1.key }) {
            writer.text(agent)
            writer.text(stamp.text)
        }
        writer.number(prints.count)
        for (agent, print) in prints.sorted(by: { $0.key < $1.key }) {
            writer.text(agent)
            writer.text(String(print, radix: 16))
        }
        return writer.bytes
    }

    private static func checksum(_ body: ArraySlice<UInt8>) -> UInt32 {
        body.withUnsafeBytes { qp_crc32c(0, $0.baseAddress, $0.count) }
    }

    /// nil: there is none.
    static func read(in run: String) throws -> KeptConfiguration? {
        let path = path(in: run)
        guard access(path, F_OK) == 0 else { return nil }
        guard let bytes = AgentFile.read(path, limit: maxBytes), bytes.starts(with: magic),
            bytes.count > magic.count + 4
        else { throw Damaged(description: "\(path) can't be read, or was written by another version") }
        let sum = bytes[magic.count..<(magic.count + 4)].reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        let body = bytes[(magic.count + 4)...]
        guard sum == checksum(body), let kept = try? KeptConfiguration(body) else {
            throw Damaged(description: "\(path) is damaged")
        }
        return kept
    }

    init(
        file: String, agentsDirectory: String, content: ConfigurationRecord.Content,
        stamps: [String: ExecutableStamp], prints: [String: UInt64]
    ) {
        self.file = file
        self.agentsDirectory = agentsDirectory
        self.content = content
        self.stamps = stamps
        self.prints = prints
    }

    private init(_ body: ArraySlice<UInt8>) throws {
        var reader = LengthPrefixedReader(body)
        file = try reader.text()
        agentsDirectory = try reader.text()
        content = try ConfigurationRecord.Content(&reader)
        var stamps: [String: ExecutableStamp] = [:]
        for _ in 0..<(try reader.number()) {
            let agent = try reader.text()
            stamps[agent] = ExecutableStamp(text: try reader.text())
        }
        var prints: [String: UInt64] = [:]
        for _ in 0..<(try reader.number()) {
            let agent = try reader.text()
            guard let print = UInt64(try reader.text(), radix: 16) else { throw LengthPrefixedReader.Damaged() }
            prints[agent] = print
        }
        self.stamps = stamps
        self.prints = prints
        guard reader.isAtEnd else { throw LengthPrefixedReader.Damaged() }
    }
}
