import Wire

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

extension RecentAnswers: Encodable, Decodable, Packable where Answer: Packable {
    public func pack(into packer: inout Packer) {
        packer.append(capacity)
        packer.append(oldest)
        packer.append(ring) { id, packer in
            packer.append(id)
            packer.append(answers[id])
        }
    }

    public init(unpacking unpacker: inout Unpacker) throws {
        let capacity = try unpacker.int()
        guard capacity > 0 else { throw UnpackError("recent answers without room for any") }
        self.init(capacity: capacity)
        oldest = try unpacker.int()
        let entries = try unpacker.list { (id: try $0.text(), answer: try $0.optional(Answer.self)) }
        ring = entries.map(\.id)
        for case (let id, let answer?) in entries { answers[id] = answer }
        guard ring.count <= capacity, answers.count == ring.count, (0..<capacity).contains(oldest) else {
            throw UnpackError("these are no recent answers")
        }
    }
}
