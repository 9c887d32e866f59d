import Glibc

/// How far a reader has read a journal, in a file in the journal's folder, so that a writer keeps what the reader has not
/// seen: beside what the writer's own use of the journal allows, and within `JournalLimits.laggingReaderFactor` of its
/// size limit. A folder has at most one mark of each reader.
public struct JournalMark: Equatable, Sendable {
    public let reader: String
    /// The last record that the reader has taken in.
    public let sequence: UInt64

    static let fileSuffix = ".reader"
    private static let newSuffix = ".reader-new"
    private static let maxBytes = 64

    /// `reader`: letters and digits.
    public init(reader: String, sequence: UInt64) {
        self.reader = reader
        self.sequence = sequence
    }

    /// As found in a folder. One that can't be read keeps everything.
    init(path: String, fileName: String) {
        reader = String(fileName.dropLast(Self.fileSuffix.count))
        var bytes = [UInt8](repeating: 0, count: Self.maxBytes)
        let file = open("\(path)/\(fileName)", O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        let count = file < 0 ? 0 : read(file, &bytes, bytes.count)
        if file >= 0 { close(file) }
        let text = String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
        sequence = text.hasSuffix("\n") ? UInt64(text.dropLast()) ?? 0 : 0
    }

    static func isMark(fileName: String) -> Bool {
        fileName.hasSuffix(fileSuffix) || fileName.hasSuffix(newSuffix)
    }

    /// Puts it into a journal's folder, in one step. Does nothing where there is no journal.
    public func write(to directory: String) throws(JournalError) {
        let path = "\(directory)/\(reader)\(Self.newSuffix)"
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard file >= 0 else {
            if errno == ENOENT { return }
            throw .system("create", path)
        }
        let text = Array("\(sequence)\n".utf8)
        let count = Glibc.write(file, text, text.count)
        let code = errno
        close(file)
        guard count == text.count else { throw .system("write", path, count < 0 ? code : ENOSPC) }
        guard rename(path, "\(directory)/\(reader)\(Self.fileSuffix)") == 0 else { throw .system("rename", path) }
    }

    /// Takes a reader's mark away, if there is one.
    public static func remove(reader: String, from directory: String) {
        unlink("\(directory)/\(reader)\(fileSuffix)")
        unlink("\(directory)/\(reader)\(newSuffix)")
    }
}
