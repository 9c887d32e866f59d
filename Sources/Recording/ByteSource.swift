import CZlib
import Glibc

/// The bytes of a file, plain or gzip (told by its first two bytes; also of several members, as `gzip -c >>` leaves
/// them). Streaming: memory does not grow with the file. One owner, one thread.
final class ByteSource {
    /// Why no more bytes come; those before it were good.
    struct Failure: Error {
        let reason: String
    }

    /// Compressed bytes read at a time.
    static let inputChunkBytes = 1 << 18
    /// `inflateInit2`: largest window, and 16 for "gzip header, checked".
    private static let gzipWindowBits: Int32 = 15 + 16

    private let descriptor: Int32
    private var input = [UInt8](repeating: 0, count: ByteSource.inputChunkBytes)
    private var inputRange = 0..<0
    private var isAtEnd = false
    /// At a fixed address, because zlib keeps a pointer back to it; nil for a plain file.
    private var inflater: UnsafeMutablePointer<z_stream>?
    /// Whether the inflater is inside of a member.
    private var isInsideMember = false

    init(path: String) throws(Failure) {
        descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw Failure(reason: "cannot be opened: \(String(cString: strerror(errno)))") }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw Failure(reason: "is not a regular file")
        }
        try fillInput()
        if inputRange.count >= 2, input[0] == 0x1f, input[1] == 0x8b { try startInflating() }
    }

    deinit {
        if let inflater {
            inflateEnd(inflater)
            inflater.deallocate()
        }
        if descriptor >= 0 { close(descriptor) }
    }

    /// Writes at least one byte into `output`, or returns 0 at the end.
    func read(into output: UnsafeMutableRawBufferPointer) throws(Failure) -> Int {
        precondition(!output.isEmpty, "an empty buffer can't tell the end from no room")
        guard let inflater else { return try readPlain(into: output) }
        return try inflateSome(inflater, into: output)
    }

    private func readPlain(into output: UnsafeMutableRawBufferPointer) throws(Failure) -> Int {
        if inputRange.isEmpty { try fillInput() }
        let count = min(inputRange.count, output.count)
        input.withUnsafeBytes { bytes in
            output.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[inputRange.prefix(count)]))
        }
        inputRange = inputRange.dropFirst(count)
        return count
    }

    private func startInflating() throws(Failure) {
        let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
        stream.initialize(to: z_stream())
        let size = Int32(MemoryLayout<z_stream>.size)
        guard inflateInit2_(stream, Self.gzipWindowBits, ZLIB_VERSION, size) == Z_OK else {
            stream.deallocate()
            throw Failure(reason: "zlib cannot be started")
        }
        inflater = stream
    }

    private func inflateSome(
        _ stream: UnsafeMutablePointer<z_stream>, into output: UnsafeMutableRawBufferPointer
    ) throws(Failure) -> Int {
        while true {
            if inputRange.isEmpty { try fillInput() }
            if inputRange.isEmpty {
                guard isInsideMember else { return 0 }
                throw Failure(reason: "the gzip data is truncated: the file ends inside of it")
            }
            if !isInsideMember { guard try beginMember(stream) else { return 0 } }
            let available = inputRange.count
            let result = input.withUnsafeMutableBytes { bytes in
                stream.pointee.next_in = bytes.baseAddress?.advanced(by: inputRange.lowerBound)
                    .assumingMemoryBound(to: UInt8.self)
                stream.pointee.avail_in = UInt32(available)
                stream.pointee.next_out = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
                stream.pointee.avail_out = UInt32(clamping: output.count)
                return inflate(stream, Z_NO_FLUSH)
            }
            inputRange = inputRange.dropFirst(available - Int(stream.pointee.avail_in))
            let written = Int(UInt32(clamping: output.count) - stream.pointee.avail_out)
            switch result {
            case Z_STREAM_END: isInsideMember = false
            case Z_OK, Z_BUF_ERROR: break
            default:
                // What this call wrote before the fault is good: hand it out, fail on the next call.
                if written > 0 { return written }
                let detail = stream.pointee.msg.map { String(cString: $0) } ?? "error \(result)"
                throw Failure(reason: "the gzip data is corrupt: \(detail)")
            }
            if written > 0 { return written }
        }
    }

    /// At the end of a member: whether another one follows. Zero bytes are padding (tar, tapes); others are an error.
    private func beginMember(_ stream: UnsafeMutablePointer<z_stream>) throws(Failure) -> Bool {
        while let first = inputRange.first, input[first] == 0 {
            inputRange = inputRange.dropFirst()
            if inputRange.isEmpty { try fillInput() }
        }
        guard let first = inputRange.first else { return false }
        guard input[first] == 0x1f else { throw Failure(reason: "something that is not gzip follows the gzip data") }
        inflateReset(stream)
        isInsideMember = true
        return true
    }

    private func fillInput() throws(Failure) {
        guard !isAtEnd else { return }
        while true {
            let count = input.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw Failure(reason: "cannot be read: \(String(cString: strerror(errno)))") }
            inputRange = 0..<count
            isAtEnd = count == 0
            return
        }
    }
}
