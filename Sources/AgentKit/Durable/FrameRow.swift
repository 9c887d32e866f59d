import FoundationEssentials
import Wire

/// Sealed frames one after the other, each of which says its own length: thousands of them go into a snapshot as one piece.
struct FrameRow: Codable, Sendable {
    private var bytes = Data()
    private(set) var count = 0

    init() {}

    /// Snapshots of version 1 have a list of frames.
    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        do {
            bytes = try container.decode(Data.self)
        } catch DecodingError.typeMismatch {
            for frame in try container.decode([Data].self) { bytes.append(frame) }
        }
        var rest = bytes[...]
        while let length = Self.lengthOfFirst(in: rest), length <= rest.count {
            rest = rest.dropFirst(length)
            count += 1
        }
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(bytes)
    }

    mutating func append(_ frame: [UInt8]) {
        bytes.append(contentsOf: frame)
        count += 1
    }

    /// At most as many as there are.
    mutating func removeFirst(_ number: Int) {
        var rest = bytes[...]
        for _ in 0..<min(number, count) {
            guard let length = Self.lengthOfFirst(in: rest) else { break }
            rest = rest.dropFirst(length)
            count -= 1
        }
        bytes = Data(rest)
    }

    /// Nil without a whole header.
    private static func lengthOfFirst(in rest: Data.SubSequence) -> Int? {
        guard rest.count >= Header.byteCount else { return nil }
        let stated = rest.dropFirst(Header.payloadBytesAt).prefix(4).reversed().reduce(0) { $0 << 8 | Int($1) }
        return Header.byteCount + stated
    }

    /// Throws `FrameError` for bytes that are no row of frames.
    func frames() throws -> [Frame] {
        var frames: [Frame] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            guard let length = Self.lengthOfFirst(in: rest) else { throw FrameError.short(bytes: rest.count) }
            let whole = Array(rest.prefix(length))
            let header = try whole.withUnsafeBytes { try Header(frame: $0) }
            var frame = Frame(whole[Header.byteCount...])
            try frame.seal(header)
            frames.append(frame)
            rest = rest.dropFirst(whole.count)
        }
        return frames
    }
}

extension Header {
    /// Where a frame says how long it is.
    fileprivate static let payloadBytesAt = 56
}
