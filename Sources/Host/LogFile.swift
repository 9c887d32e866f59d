import CLinux
import Foundation

/// `<logs>/NAME.log`, rotated by size to NAME.log.1, .2, …; never throws, never stops anybody: what cannot be written is
/// dropped and counted, and the file says so once it takes writes again.
final class LogFile {
    let path: String
    let maxBytes: Int64
    private let files: Int
    /// Before bytes are appended: which file, its size now, and its size then.
    var willAppend: ((_ inode: UInt64, _ start: Int64, _ end: Int64) -> Void)?
    /// Before the file is emptied, because no second one is kept.
    var willEmpty: (() -> Void)?
    private var inode: UInt64 = 0
    private var descriptor: Descriptor?
    private var size: Int64 = 0
    /// Lines dropped since the last write that succeeded.
    private var gap = 0
    /// Lines dropped altogether.
    private(set) var dropped = 0
    /// Why lines are being dropped; nil while all is well.
    private(set) var trouble: String?

    /// - Parameters:
    ///   - maxBytes: a file is rotated before it would grow beyond this.
    ///   - files: how many are kept, the current one included; at least 1.
    init(path: String, maxBytes: Int64, files: Int) {
        self.path = path
        self.maxBytes = maxBytes
        self.files = max(1, files)
    }

    /// The current file and its predecessors.
    var paths: [String] { [path] + (1..<max(files, 1)).map { "\(path).\($0)" } }

    /// Writes whole lines. Returns a complaint when trouble begins, once.
    func write(_ bytes: [UInt8], lines: Int) -> String? {
        guard bytes.count > maxBytes, let middle = Self.endOfLine(in: bytes, near: bytes.count / 2) else {
            return writePiece(bytes, lines: lines)
        }
        // More than a file may hold: in pieces, so that only a line that is longer by itself makes a longer file.
        let head = Array(bytes[..<middle])
        let count = head.count { $0 == 10 }
        let complaint = write(head, lines: count)
        return write(Array(bytes[middle...]), lines: lines - count) ?? complaint
    }

    /// Behind the newline nearest to the middle from below, else from above; nil when there is only one line.
    private static func endOfLine(in bytes: [UInt8], near middle: Int) -> Int? {
        if let newline = bytes[..<middle].lastIndex(of: 10) { return newline + 1 }
        guard let newline = bytes[middle...].firstIndex(of: 10), newline + 1 < bytes.count else { return nil }
        return newline + 1
    }

    private func writePiece(_ bytes: [UInt8], lines: Int) -> String? {
        do {
            try openIfNeeded()
            if size > 0, size + Int64(bytes.count) > maxBytes { try rotate() }
            // In one write with what follows, so that a disk without room does not fill up with notes about itself.
            let note = gap == 0 ? "" : "\(Timestamp.now().text) 0 sup \(gap) lines lost: \(trouble ?? "")\n"
            let whole = Array(note.utf8) + bytes
            willAppend?(inode, size, size + Int64(whole.count))
            try append(whole)
            gap = 0
            trouble = nil
            return nil
        } catch {
            gap += lines
            dropped += lines
            descriptor = nil
            let isNews = trouble == nil
            trouble = "\(error)"
            return isNews ? "log lines are dropped: \(error)" : nil
        }
    }

    private func openIfNeeded() throws {
        if let descriptor {
            // Deleted or moved away under us: begin a new file at the name people look at.
            var (ours, named) = (stat(), stat())
            if fstat(descriptor.raw, &ours) == 0, lstat(path, &named) == 0, ours.st_ino == named.st_ino,
                ours.st_dev == named.st_dev
            {
                return
            }
            self.descriptor = nil
        }
        let flags = O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK
        let opened: Descriptor
        do {
            opened = try Descriptor.open(path, flags, mode: 0o600)
        } catch let error as PosixError where error.code == ENOENT {
            // Its folder is gone too: it is begun anew as the file is.
            let folder = (path as NSString).deletingLastPathComponent
            if mkdir(folder, 0o700) == -1, errno != EEXIST { throw PosixError("mkdir", folder) }
            opened = try Descriptor.open(path, flags, mode: 0o600)
        }
        var info = stat()
        try check(fstat(opened.raw, &info), "fstat", path)
        guard info.st_mode & S_IFMT == S_IFREG else { throw PosixError("open", path, code: EINVAL) }
        descriptor = opened
        inode = UInt64(info.st_ino)
        size = Int64(info.st_size)
    }

    private func append(_ bytes: [UInt8]) throws {
        guard let descriptor else { return }
        var offset = 0
        while offset < bytes.count {
            let written = retryingInterrupts {
                bytes.withUnsafeBytes { Glibc.write(descriptor.raw, $0.baseAddress! + offset, $0.count - offset) }
            }
            if written <= 0 {
                let reason = PosixError("write", path)
                // Half a line would garble the file for its readers.
                if offset > 0 { _ = ftruncate(descriptor.raw, off_t(size)) }
                throw reason
            }
            offset += written
        }
        size += Int64(bytes.count)
    }

    private func rotate() throws {
        if files == 1 {
            willEmpty?()
            try check(ftruncate(descriptor!.raw, 0), "ftruncate", path)
            size = 0
            return
        }
        // Up to the first number that is free: a kill between two renames leaves one, which the next rotation fills.
        let free = (1..<files - 1).first { access("\(path).\($0)", F_OK) == -1 } ?? files - 1
        for number in stride(from: free - 1, through: 1, by: -1) {
            _ = rename("\(path).\(number)", "\(path).\(number + 1)")
        }
        try check(rename(path, "\(path).1"), "rename", path)
        descriptor = nil
        try openIfNeeded()
    }

    /// Numbers that can be missing among the files: the newest, or one that a rotation which was cut off has left.
    static let maxGaps = 1

    /// The last lines of the file and its predecessors, oldest first, at most `maxBytes` of them read.
    static func tail(path: String, lines wanted: Int, maxBytes: Int = 4 * 1024 * 1024) -> [[UInt8]] {
        var found: [[UInt8]] = []
        var budget = maxBytes
        var number = 0
        var gaps = 0
        while found.count < wanted, budget > 0, gaps <= maxGaps {
            let name = number == 0 ? path : "\(path).\(number)"
            number += 1
            guard let chunk = end(of: name, atMost: budget) else {
                gaps += 1
                continue
            }
            budget -= chunk.count
            found = chunk.split(separator: 10).suffix(wanted - found.count).map(Array.init) + found
        }
        return found
    }

    /// Whole lines from the end of a file.
    private static func end(of path: String, atMost limit: Int) -> [UInt8]? {
        guard let file = try? Descriptor.open(path, O_RDONLY | O_NONBLOCK) else { return nil }
        var info = stat()
        guard fstat(file.raw, &info) == 0, info.st_mode & S_IFMT == S_IFREG else { return nil }
        let start = max(0, Int(info.st_size) - limit)
        var bytes = [UInt8](repeating: 0, count: Int(info.st_size) - start)
        let got = retryingInterrupts { pread(file.raw, &bytes, bytes.count, off_t(start)) }
        guard got >= 0 else { return nil }
        bytes.removeLast(bytes.count - got)
        if start > 0, let newline = bytes.firstIndex(of: 10) { bytes.removeFirst(newline + 1) }
        return bytes
    }
}
