/// The last ids seen, to tell a repetition in bounded memory: the oldest is forgotten first.
public struct RecentIDs: Sendable {
    public let capacity: Int
    private var known: Set<String> = []
    private var ring: [String] = []
    private var oldest = 0

    /// `capacity` of at least 1.
    public init(capacity: Int) {
        precondition(capacity > 0, "RecentIDs needs room for at least one id")
        self.capacity = capacity
    }

    public var count: Int { known.count }

    public func contains(_ id: String) -> Bool { known.contains(id) }

    /// True when the id is new among the last `capacity` ones; it is then remembered.
    @discardableResult
    public mutating func insert(_ id: String) -> Bool {
        guard known.insert(id).inserted else { return false }
        if ring.count < capacity {
            ring.append(id)
        } else {
            known.remove(ring[oldest])
            ring[oldest] = id
            oldest = (oldest + 1) % capacity
        }
        return true
    }
}
