/// Tells a text that was seen before, by its id or its words, so that a story retold counts once.
///
/// Remembers the last `capacity` keys; a key older than the window counts as forgotten. Times are the source's own.
struct RecentTexts {
    /// Keys remembered; two for each text with an id.
    static let capacity = 16_384

    private let windowNs: Int64
    private var seenAtNs: [UInt64: Int64] = [:]
    private var ring: [UInt64] = []
    private var oldest = 0

    init(windowNs: Int64) {
        self.windowNs = windowNs
    }

    /// Whether neither key was seen within the window before `timeNs`; both are then remembered. Key 0 is no key.
    mutating func insert(id: UInt64, words: UInt64, timeNs: Int64) -> Bool {
        let known = isKnown(id, timeNs) || isKnown(words, timeNs)
        remember(id, timeNs)
        remember(words, timeNs)
        return !known
    }

    private func isKnown(_ key: UInt64, _ timeNs: Int64) -> Bool {
        guard key != 0, let seen = seenAtNs[key] else { return false }
        let (age, overflow) = timeNs.subtractingReportingOverflow(seen)
        return !overflow && age.magnitude <= UInt64(windowNs)
    }

    private mutating func remember(_ key: UInt64, _ timeNs: Int64) {
        guard key != 0 else { return }
        if let seen = seenAtNs.updateValue(timeNs, forKey: key) {
            seenAtNs[key] = max(seen, timeNs)
        } else if ring.count < Self.capacity {
            ring.append(key)
        } else {
            seenAtNs[ring[oldest]] = nil
            ring[oldest] = key
            oldest = (oldest + 1) % Self.capacity
        }
    }
}
