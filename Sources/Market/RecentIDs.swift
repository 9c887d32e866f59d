import Wire

/// The last ids seen, to tell a repetition in bounded memory: the oldest is forgotten first.
///
/// What is kept of an id is its 128-bit FNV-1a hash, so that neither memory nor a snapshot grows with the length of ids
/// that somebody else chooses. Two of 65,536 ids share a hash with a chance of 6e-30.
public struct RecentIDs: Sendable {
    public let capacity: Int
    private var known: Set<UInt128> = []
    private var ring: [UInt128] = []
    private var oldest = 0

    /// `capacity` of at least 1.
    public init(capacity: Int) {
        precondition(capacity > 0, "RecentIDs needs room for at least one id")
        self.capacity = capacity
    }

    public var count: Int { ring.count }

    public func contains(_ id: String) -> Bool { known.contains(Self.hash(id)) }

    /// True when the id is new among the last `capacity` ones; it is then remembered.
    @discardableResult
    public mutating func insert(_ id: String) -> Bool {
        let hash = Self.hash(id)
        guard known.insert(hash).inserted else { return false }
        if ring.count < capacity {
            ring.append(hash)
        } else {
            known.remove(ring[oldest])
            ring[oldest] = hash
            oldest = (oldest + 1) % capacity
        }
        return true
    }

    /// FNV-1a (Fowler, Noll, Vo; RFC 9923) with 128 bits. Never `Hasher`: that one differs from process to process.
    public static func hash(_ id: String) -> UInt128 {
        let prime = UInt128(1) << 88 | 0x13B
        var hash = UInt128(0x6C62_272E_07BB_0142_62B8_2175_6295_C58D)
        for byte in id.utf8 { hash = (hash ^ UInt128(byte)) &* prime }
        return hash
    }
}

extension RecentIDs: Packable {
    public func pack(into packer: inout Packer) {
        packer.append(capacity)
        packer.append(oldest)
        packer.append(ring.map { Int64(truncatingIfNeeded: $0) })
        packer.append(ring.map { Int64(truncatingIfNeeded: $0 >> 64) })
    }

    public init(unpacking unpacker: inout Unpacker) throws {
        let capacity = try unpacker.int()
        guard capacity > 0 else { throw UnpackError("recent ids without room for any") }
        self.init(capacity: capacity)
        oldest = try unpacker.int()
        let (low, high) = (try unpacker.int64s(), try unpacker.int64s())
        ring = zip(low, high).map { UInt128(UInt64(bitPattern: $1)) << 64 | UInt128(UInt64(bitPattern: $0)) }
        known = Set(ring)
        guard low.count == high.count, ring.count <= capacity, known.count == ring.count,
            (0..<capacity).contains(oldest)
        else { throw UnpackError("these are no recent ids") }
    }
}
