import COpenSSL

/// A SHA-256 value.
struct Digest: Hashable, Sendable {
    static let byteCount = 32
    static let zero = Digest(words: (0, 0, 0, 0))

    private var a, b, c, d: UInt64

    var words: [UInt64] { [a, b, c, d] }

    init(words: (UInt64, UInt64, UInt64, UInt64)) {
        (a, b, c, d) = words
    }

    init(_ bytes: UnsafeRawBufferPointer) {
        precondition(bytes.count == Self.byteCount)
        self.init(
            words: (
                bytes.loadUnaligned(fromByteOffset: 0, as: UInt64.self),
                bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self),
                bytes.loadUnaligned(fromByteOffset: 16, as: UInt64.self),
                bytes.loadUnaligned(fromByteOffset: 24, as: UInt64.self)
            ))
    }

    func write(to bytes: UnsafeMutableRawPointer) {
        bytes.storeBytes(of: a, toByteOffset: 0, as: UInt64.self)
        bytes.storeBytes(of: b, toByteOffset: 8, as: UInt64.self)
        bytes.storeBytes(of: c, toByteOffset: 16, as: UInt64.self)
        bytes.storeBytes(of: d, toByteOffset: 24, as: UInt64.self)
    }
}

/// The journal's hash chain: each link is the SHA-256 of the link before it and of the records since. The first link of
/// a segment covers the segment's header, which holds the last link of the segment before; so one link vouches for
/// every byte written before it.
///
/// Hashed record by record: 0.18 µs for 320 bytes with SHA instructions (measured), instead of 35 µs at every 64 KiB.
struct HashChain {
    private var context = SHA256_CTX()
    /// The last link made.
    private(set) var link = Digest.zero

    /// Begins the chain of a segment. `header`: its checked bytes.
    init(segmentHeader header: UnsafeRawBufferPointer) {
        SHA256_Init(&context)
        append(header)
        seal()
    }

    mutating func append(_ bytes: UnsafeRawBufferPointer) {
        SHA256_Update(&context, bytes.baseAddress, bytes.count)
    }

    /// Closes the block with a new `link` and begins the next one behind it.
    mutating func seal() {
        link = withUnsafeTemporaryAllocation(byteCount: Digest.byteCount, alignment: 8) { bytes in
            SHA256_Final(bytes.baseAddress!.assumingMemoryBound(to: UInt8.self), &context)
            return Digest(UnsafeRawBufferPointer(bytes))
        }
        SHA256_Init(&context)
        withUnsafeTemporaryAllocation(byteCount: Digest.byteCount, alignment: 8) { bytes in
            link.write(to: bytes.baseAddress!)
            append(UnsafeRawBufferPointer(bytes))
        }
    }
}
