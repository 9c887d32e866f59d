/// The last answers given, by the id of what was asked, so that a question that comes again gets the same answer, in
/// bounded memory: the oldest is forgotten first. A value.
public struct RecentAnswers<Answer: Sendable>: Sendable {
    public let capacity: Int
    private var answers: [String: Answer] = [:]
    private var ring: [String] = []
    private var oldest = 0

    /// `capacity` of at least 1.
    public init(capacity: Int) {
        precondition(capacity > 0, "RecentAnswers needs room for at least one answer")
        self.capacity = capacity
    }

    public var count: Int { answers.count }

    /// Nil when the id was never answered, or long ago.
    public subscript(id: String) -> Answer? { answers[id] }

    /// Stores the answer to `id`; a later answer to the same id takes the earlier one's place.
    public mutating func remember(_ answer: Answer, for id: String) {
        guard answers.updateValue(answer, forKey: id) == nil else { return }
        if ring.count < capacity {
            ring.append(id)
        } else {
            answers[ring[oldest]] = nil
            ring[oldest] = id
            oldest = (oldest + 1) % capacity
        }
    }

    /// Changes a stored answer in place; nothing happens when there is none.
    public mutating func update(_ id: String, _ change: (inout Answer) -> Void) {
        guard let index = answers.index(forKey: id) else { return }
        change(&answers.values[index])
    }
}
