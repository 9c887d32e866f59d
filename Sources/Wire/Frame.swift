import SwiftProtobuf

/// A whole frame under construction: room for the header, then the payload, in one allocation.
///
/// SwiftProtobuf asks for its output buffer by `init(repeating:count:)`; answering with a buffer that already has the
/// header's room in front saves the copy that "encode, then prepend" would cost.
public struct Frame: SwiftProtobufContiguousBytes, Sendable {
    /// Header and payload.
    public private(set) var bytes: [UInt8]

    public init(repeating: UInt8, count: Int) {
        bytes = [UInt8](repeating: 0, count: Header.byteCount + count)
    }

    public init<Bytes: Sequence<UInt8>>(_ payload: Bytes) {
        bytes = [UInt8](repeating: 0, count: Header.byteCount)
        bytes.append(contentsOf: payload)
    }

    /// Bytes of the payload alone.
    public var count: Int { bytes.count - Header.byteCount }

    public func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        try bytes.withUnsafeBytes { try body(UnsafeRawBufferPointer(rebasing: $0[Header.byteCount...])) }
    }

    public mutating func withUnsafeMutableBytes<Result>(
        _ body: (UnsafeMutableRawBufferPointer) throws -> Result
    ) rethrows -> Result {
        try bytes.withUnsafeMutableBytes { try body(UnsafeMutableRawBufferPointer(rebasing: $0[Header.byteCount...])) }
    }

    /// Fills in the header; `header.payloadBytes` is set here. Throws `FrameError.tooLong` above `Limits.maxFrameBytes`.
    public mutating func seal(_ header: Header) throws(FrameError) {
        guard bytes.count <= Limits.maxFrameBytes else {
            throw .tooLong(bytes: bytes.count)
        }
        var header = header
        header.payloadBytes = UInt32(count)
        bytes.withUnsafeMutableBytes { header.write(to: $0) }
    }
}

extension Payload {
    /// The payload's bytes behind room for a header.
    public func encoded(as encoding: Encoding = .protobuf) throws(FrameError) -> Frame {
        do {
            switch encoding {
            case .protobuf: return try binary()
            case .json: return try message.jsonUTF8Bytes()
            }
        } catch {
            throw .payload("\(error)")
        }
    }

    /// The payload of a frame whose header has been read. `bytes` is only what follows the header.
    public init(type: PayloadType, encoding: Encoding, bytes: UnsafeRawBufferPointer) throws(FrameError) {
        do {
            switch type {
            case .bookUpdate: self = .bookUpdate(try decode(encoding, bytes))
            case .quote: self = .quote(try decode(encoding, bytes))
            case .trade: self = .trade(try decode(encoding, bytes))
            case .textItem: self = .textItem(try decode(encoding, bytes))
            case .venueVolume: self = .venueVolume(try decode(encoding, bytes))
            case .signal: self = .signal(try decode(encoding, bytes))
            case .proposal: self = .proposal(try decode(encoding, bytes))
            case .sizedProposal: self = .sizedProposal(try decode(encoding, bytes))
            case .riskDecision: self = .riskDecision(try decode(encoding, bytes))
            case .order: self = .order(try decode(encoding, bytes))
            case .executionReport: self = .executionReport(try decode(encoding, bytes))
            case .portfolioState: self = .portfolioState(try decode(encoding, bytes))
            case .command: self = .command(try decode(encoding, bytes))
            }
        } catch {
            throw .payload("\(error)")
        }
    }

    // Switched by hand: through `any Message` the encoder could not be specialised.
    private func binary() throws -> Frame {
        switch self {
        case .bookUpdate(let message): try message.serializedBytes()
        case .quote(let message): try message.serializedBytes()
        case .trade(let message): try message.serializedBytes()
        case .textItem(let message): try message.serializedBytes()
        case .venueVolume(let message): try message.serializedBytes()
        case .signal(let message): try message.serializedBytes()
        case .proposal(let message): try message.serializedBytes()
        case .sizedProposal(let message): try message.serializedBytes()
        case .riskDecision(let message): try message.serializedBytes()
        case .order(let message): try message.serializedBytes()
        case .executionReport(let message): try message.serializedBytes()
        case .portfolioState(let message): try message.serializedBytes()
        case .command(let message): try message.serializedBytes()
        }
    }
}

private func decode<Message: SwiftProtobuf.Message>(
    _ encoding: Encoding, _ bytes: UnsafeRawBufferPointer
) throws -> Message {
    switch encoding {
    case .protobuf: try Message(serializedBytes: bytes.bytes)
    case .json: try Message(jsonUTF8Bytes: [UInt8](bytes))
    }
}
