import Wire

/// Approvals in a sliding window: exact, not an average (RTS 6 Art. 15(1) asks for a bound on messages, Art. 15(2) for
/// every order sent to count at once).
struct OrderRate: Sendable {
    /// The most that a window may be set to hold.
    static let maximumOrders = 10_000

    /// Instants of approvals, oldest first from `head`.
    private var instants: [Instant] = []
    private var head = 0

    /// Approvals at most `window` old.
    func count(at now: Instant, _ window: Nanoseconds) -> Int {
        var first = head
        while first < instants.count, instants[first] <= now - window { first += 1 }
        return instants.count - first
    }

    mutating func add(at now: Instant, _ window: Nanoseconds) {
        while head < instants.count, instants[head] <= now - window { head += 1 }
        if head > 1_024, head * 2 > instants.count {
            instants.removeFirst(head)
            head = 0
        }
        instants.append(now)
    }
}

extension OrderRate: Packable {
    func pack(into packer: inout Packer) {
        packer.append(instants[head...].map(\.nanoseconds))
    }

    init(unpacking unpacker: inout Unpacker) throws {
        instants = try unpacker.int64s().map { Instant(nanoseconds: $0) }
    }
}
