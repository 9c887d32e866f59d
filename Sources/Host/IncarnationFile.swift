import CLinux
import Foundation
import Supervision

/// `<run>/agents/NAME/incarnation`: the last number given to a process of this agent. Written before the process is
/// born, so that no number, which fences everything the process does, is ever given twice over deaths of supervisors.
///
/// Twenty digits in place: one write of one sector, whole in the page cache whenever the supervisor dies. A file
/// replaced by rename cost most of a restart's time.
final class IncarnationFile {
    private static let digits = 20
    private let path: String
    private let file: Descriptor

    init(folder: String) throws {
        path = "\(folder)/incarnation"
        file = try AgentFile.openOrCreate(path)
    }

    static func read(folder: String) -> Incarnation {
        guard let bytes = AgentFile.read("\(folder)/incarnation") else { return .none }
        let text = String(decoding: bytes.prefix { $0 != 10 }, as: UTF8.self)
        return UInt64(text).map { Incarnation($0) } ?? .none
    }

    func write(_ incarnation: Incarnation) throws {
        let text = String(incarnation.number)
        let bytes = Array((String(repeating: "0", count: Self.digits - text.count) + text + "\n").utf8)
        guard pwrite(file.raw, bytes, bytes.count, 0) == bytes.count else { throw PosixError("write", path) }
    }
}
