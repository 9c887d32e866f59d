import CLinux
import COpenSSL

/// HMAC-SHA256 (RFC 2104, FIPS 198-1) with one key. The two hashes are begun once, with the padded key; a code then
/// costs the blocks of the message and one more.
///
/// By SHA-256's plain functions, as the journal's chain: OpenSSL's own HMAC looks its algorithm up and allocates for
/// each code, and brings the whole library along. Not thread-safe.
final class MessageCode {
    static let byteCount = 32
    private static let blockByteCount = 64

    private let memory = SecretMemory()

    private struct States {
        var inner = SHA256_CTX()
        var outer = SHA256_CTX()
        /// Of the code being made; kept here so that it is wiped with the rest.
        var running = SHA256_CTX()
    }

    private var states: UnsafeMutablePointer<States> {
        memory.bytes.baseAddress!.assumingMemoryBound(to: States.self)
    }

    /// `key` may have any length; what is longer than a block counts by its hash.
    init(key: UnsafeRawBufferPointer) {
        let states = memory.bytes.bindMemory(to: States.self).baseAddress!
        states.initialize(to: States())
        withUnsafeTemporaryAllocation(byteCount: Self.blockByteCount, alignment: 8) { block in
            block.initializeMemory(as: UInt8.self, repeating: 0)
            if key.count > block.count {
                SHA256_Init(&states.pointee.running)
                SHA256_Update(&states.pointee.running, key.baseAddress, key.count)
                SHA256_Final(block.baseAddress!.assumingMemoryBound(to: UInt8.self), &states.pointee.running)
            } else {
                block.copyMemory(from: key)
            }
            for index in block.indices { block[index] ^= 0x36 }
            SHA256_Init(&states.pointee.inner)
            SHA256_Update(&states.pointee.inner, block.baseAddress, block.count)
            for index in block.indices { block[index] ^= 0x36 ^ 0x5C }
            SHA256_Init(&states.pointee.outer)
            SHA256_Update(&states.pointee.outer, block.baseAddress, block.count)
            qp_wipe(block.baseAddress, block.count)
        }
    }

    /// Writes the code of `message` into the first `byteCount` bytes of `code`.
    func write(of message: UnsafeRawBufferPointer, to code: UnsafeMutableRawBufferPointer) {
        precondition(code.count >= Self.byteCount)
        let digest = code.baseAddress!.assumingMemoryBound(to: UInt8.self)
        let states = states
        states.pointee.running = states.pointee.inner
        SHA256_Update(&states.pointee.running, message.baseAddress, message.count)
        SHA256_Final(digest, &states.pointee.running)
        states.pointee.running = states.pointee.outer
        SHA256_Update(&states.pointee.running, digest, Self.byteCount)
        SHA256_Final(digest, &states.pointee.running)
    }

    func code(of message: UnsafeRawBufferPointer) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: Self.byteCount) { buffer, count in
            write(of: message, to: UnsafeMutableRawBufferPointer(buffer))
            count = Self.byteCount
        }
    }

    /// Whether `code` is the whole code of `message`; in constant time.
    func verifies(_ code: [UInt8], of message: UnsafeRawBufferPointer) -> Bool {
        guard code.count == Self.byteCount else { return false }
        return withUnsafeTemporaryAllocation(byteCount: Self.byteCount, alignment: 8) { expected in
            write(of: message, to: expected)
            return code.withUnsafeBytes {
                qp_equal_in_constant_time($0.baseAddress, expected.baseAddress, Self.byteCount) == 1
            }
        }
    }
}
