import CLinux
import Glibc

/// The bytes of a segment file, copied: a file that is cut while it is read can't kill the reader, as a mapping could.
final class SegmentImage {
    let path: String
    private let file: Int32
    private let memory: UnsafeMutableRawBufferPointer
    private(set) var fileBytes: Int
    /// End of what may be other than 0.
    private(set) var dataEnd = 0
    let header: SegmentHeader

    /// All of the segment, zeros where the file has none.
    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(memory) }

    enum Opening {
        case image(SegmentImage)
        case missing
        /// The file is there, and holds nothing. `isLeftOver`: nobody has touched it since the machine was started, so
        /// that it lost its content with the power and never held anything that was vouched for. Else it was emptied.
        case blank(isLeftOver: Bool)
    }

    static func open(_ path: String, bootedAt: Int64 = ClockAnchor.bootedAt()) throws(JournalError) -> Opening {
        let file = Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard file >= 0 else {
            if errno == ENOENT { return .missing }
            throw .system("open", path)
        }
        let header: SegmentHeader
        let fileBytes: Int
        do throws(JournalError) {
            fileBytes = try size(of: file, path)
            guard let found = try Self.header(file, path) else {
                let isLeftOver = changedAt(file) < bootedAt
                close(file)
                return .blank(isLeftOver: isLeftOver)
            }
            header = found
        } catch {
            close(file)
            throw error
        }
        let image = SegmentImage(path: path, file: file, fileBytes: fileBytes, header: header)
        try image.reload(from: 0)
        return .image(image)
    }

    /// Reads and checks the header of an open segment; nil if the file holds nothing at all.
    static func header(_ file: Int32, _ path: String) throws(JournalError) -> SegmentHeader? {
        let page = UnsafeMutableRawBufferPointer.allocate(byteCount: SegmentHeader.byteCount, alignment: 8)
        defer { page.deallocate() }
        let count = try readAll(file, path, into: page, at: 0)
        let header: SegmentHeader
        do {
            header = try SegmentHeader(UnsafeRawBufferPointer(rebasing: page[..<count]))
        } catch {
            switch error {
            case .blank:
                if try isZero(file, path) { return nil }
                throw .notAJournal(file: path, problem: "the header is blank")
            case .version(let version): throw .version(file: path, found: version)
            case .damaged(let problem): throw .notAJournal(file: path, problem: problem)
            }
        }
        guard path.hasSuffix("/" + header.fileName) else {
            throw .notAJournal(
                file: path, problem: "the header begins with record \(header.firstSequence), the name with another")
        }
        return header
    }

    private init(path: String, file: Int32, fileBytes: Int, header: SegmentHeader) {
        self.path = path
        self.file = file
        self.fileBytes = fileBytes
        self.header = header
        // Fresh pages of calloc are zero and cost nothing until they are used.
        memory = UnsafeMutableRawBufferPointer(
            start: calloc(1, header.segmentBytes)!, count: header.segmentBytes)
    }

    deinit {
        free(memory.baseAddress)
        close(file)
    }

    /// Reads what the file has from `offset` on, again. A record whose commit word is seen is seen whole: the kernel
    /// copies upwards and the writer stores the commit word last.
    func reload(from offset: Int) throws(JournalError) {
        fileBytes = min(try Self.size(of: file, path), header.segmentBytes)
        dataEnd = max(offset, Self.dataEnd(of: file, fileBytes))
        let target = UnsafeMutableRawBufferPointer(rebasing: memory[offset..<dataEnd])
        let count = try Self.readAll(file, path, into: target, at: offset)
        UnsafeMutableRawBufferPointer(rebasing: target[count...]).initializeMemory(as: UInt8.self, repeating: 0)
    }

    /// Gives the blocks behind `offset` back to the file system, without changing the file's size, and returns what the
    /// segment takes then. Best effort: not every file system can.
    func release(from offset: Int) -> Int {
        let start = (offset + 4_095) & ~4_095
        guard start < fileBytes else { return fileBytes }
        let writable = Glibc.open(path, O_RDWR | O_CLOEXEC)
        guard writable >= 0 else { return fileBytes }
        defer { close(writable) }
        return qp_punch_hole(writable, Int64(start), Int64(fileBytes - start)) == 0 ? start : fileBytes
    }

    private static func isZero(_ file: Int32, _ path: String) throws(JournalError) -> Bool {
        let end = dataEnd(of: file, try size(of: file, path))
        let chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 8)
        defer { chunk.deallocate() }
        var at = 0
        while at < end {
            let count = try readAll(file, path, into: chunk, at: at)
            guard count > 0 else { break }
            guard !chunk[..<count].contains(where: { $0 != 0 }) else { return false }
            at += count
        }
        return true
    }

    /// Unix time in nanoseconds of the last change of a file, by whatever means (ctime can't be set); now if unknown.
    private static func changedAt(_ file: Int32) -> Int64 {
        var status = stat()
        guard fstat(file, &status) == 0 else { return .max }
        return Int64(status.st_ctim.tv_sec) * 1_000_000_000 + Int64(status.st_ctim.tv_nsec)
    }

    private static func size(of file: Int32, _ path: String) throws(JournalError) -> Int {
        var status = stat()
        guard fstat(file, &status) == 0 else { throw .system("stat", path) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw .notAJournal(file: path, problem: "not a plain file") }
        return Int(status.st_size)
    }

    /// Where the last written byte of a preallocated file may be: what was only allocated counts as a hole (lseek(2)).
    private static func dataEnd(of file: Int32, _ fileBytes: Int) -> Int {
        var end = 0
        while end < fileBytes {
            let data = lseek(file, off_t(end), 3 /* SEEK_DATA */)
            if data < 0 { return errno == ENXIO ? end : fileBytes }
            let hole = lseek(file, data, 4 /* SEEK_HOLE */)
            guard hole > data else { return fileBytes }
            end = min(Int(hole), fileBytes)
        }
        return end
    }

    private static func readAll(
        _ file: Int32, _ path: String, into target: UnsafeMutableRawBufferPointer, at offset: Int
    ) throws(JournalError) -> Int {
        var done = 0
        while done < target.count {
            let count = pread(file, target.baseAddress! + done, target.count - done, off_t(offset + done))
            if count == 0 { break }
            if count < 0 {
                if errno == EINTR { continue }
                throw .system("read", path)
            }
            done += count
        }
        return done
    }
}
