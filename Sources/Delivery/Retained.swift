/// What is kept of a numbered sequence: elements `first`, `first + 1` … without gaps. Elements never move more than once
/// for each one removed.
public struct Retained<Element> {
    /// Number of the first element kept, or of the next one if none is.
    public private(set) var first: UInt64
    private var elements: [Element?] = []
    private var head = 0

    /// - Parameter first: number of the first element that will be appended.
    public init(first: UInt64 = 1) {
        self.first = first
    }

    public var count: Int { elements.count - head }
    public var isEmpty: Bool { count == 0 }
    /// Number of the next element.
    public var next: UInt64 { first + UInt64(count) }

    /// Traps when `number` is not `next`: a gap here would be a gap on the wire.
    public mutating func append(_ element: Element, number: UInt64) {
        precondition(number == next, "elements are numbered without a gap")
        elements.append(element)
    }

    /// Traps when `number` is not kept.
    public subscript(number: UInt64) -> Element {
        get {
            precondition(number >= first && number < next, "element \(number) is not kept; kept are \(first)..<\(next)")
            return elements[head + Int(number - first)]!
        }
        set {
            precondition(number >= first && number < next, "element \(number) is not kept; kept are \(first)..<\(next)")
            elements[head + Int(number - first)] = newValue
        }
    }

    /// Drops everything before `number`.
    public mutating func removeAll(before number: UInt64) {
        while first < number, !isEmpty {
            elements[head] = nil
            head += 1
            first += 1
        }
        if isEmpty {
            elements.removeAll(keepingCapacity: true)
            head = 0
            first = max(first, number)
        } else if head > 1_024 && head * 2 > elements.count {
            elements.removeFirst(head)
            head = 0
        }
    }
}

extension Retained: Sendable where Element: Sendable {}
