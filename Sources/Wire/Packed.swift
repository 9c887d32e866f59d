import FoundationEssentials
import SwiftProtobuf

/// What writes itself into a flat run of bytes, so that a snapshot of thousands of them costs microseconds: any coder
/// sees one blob, instead of a container for each.
///
/// For what agents keep much of (books, recent ids, answers); a few fields need nothing but `Codable`. The bytes are for
/// the same build's family only and carry no names: a changed layout shows as `UnpackError`, or must be refused by who
/// reads it. The same value packs to the same bytes when it iterates nothing unordered.
public protocol Packable: Codable {
    func pack(into packer: inout Packer)
    init(unpacking unpacker: inout Unpacker) throws
}

extension Packable {
    public func encode(to encoder: any Encoder) throws {
        var packer = Packer()
        pack(into: &packer)
        var container = encoder.singleValueContainer()
        try container.encode(Data(packer.bytes))
    }

    public init(from decoder: any Swift.Decoder) throws {
        let data = try decoder.singleValueContainer().decode(Data.self)
        var unpacker = Unpacker([UInt8](data))
        try self.init(unpacking: &unpacker)
        guard unpacker.isAtEnd else { throw UnpackError("\(Self.self) is followed by further bytes") }
    }
}

/// Bytes that are no packed value of the type asked for.
public struct UnpackError: Error, Hashable, Sendable, CustomStringConvertible {
    public let description: String

    public init(_ description: String) {
        self.description = description
    }
}

/// Appends values to a run of bytes: integers as 8 bytes little-endian, texts and lists behind their length.
public struct Packer {
    public private(set) var bytes: [UInt8] = []

    public init() {}

    public mutating func append(_ value: Int64) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    public mutating func append(_ value: Int) { append(Int64(value)) }
    public mutating func append(_ value: UInt64) { append(Int64(bitPattern: value)) }
    public mutating func append(_ value: Bool) { bytes.append(value ? 1 : 0) }
    /// Every bit pattern comes back as it was, NaN included.
    public mutating func append(_ value: Double) { append(value.bitPattern) }
    public mutating func append(_ value: Instant) { append(value.nanoseconds) }

    public mutating func append(_ text: String) {
        append(text.utf8.count)
        bytes.append(contentsOf: text.utf8)
    }

    /// In one copy.
    public mutating func append(_ values: [Int64]) {
        append(values.count)
        #if _endian(little)
            values.withUnsafeBytes { bytes.append(contentsOf: $0) }
        #else
            for value in values { append(value) }
        #endif
    }

    public mutating func append(_ value: some Packable) { value.pack(into: &self) }

    public mutating func append<Value: Packable>(_ value: Value?) {
        append(value != nil)
        if let value { value.pack(into: &self) }
    }

    public mutating func append<Element>(_ list: [Element], _ write: (Element, inout Packer) -> Void) {
        append(list.count)
        for element in list { write(element, &self) }
    }

    public mutating func append<Element: Packable>(_ list: [Element]) {
        append(list) { $1.append($0) }
    }

    /// In the order of the keys, so that equal dictionaries pack to equal bytes.
    public mutating func append<Key: Comparable, Value>(
        _ dictionary: [Key: Value], _ write: (Key, Value, inout Packer) -> Void
    ) {
        append(dictionary.count)
        for (key, value) in dictionary.sorted(by: { $0.key < $1.key }) { write(key, value, &self) }
    }

    fileprivate mutating func append(raw data: [UInt8]) {
        append(data.count)
        bytes.append(contentsOf: data)
    }
}

/// Reads what a `Packer` wrote, in the same order. Throws instead of reading past the end.
public struct Unpacker {
    private let bytes: [UInt8]
    private var position = 0

    public init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    public var isAtEnd: Bool { position == bytes.count }

    public mutating func int64() throws -> Int64 {
        let start = try take(8)
        return Int64(littleEndian: bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: start, as: Int64.self) })
    }

    public mutating func uint64() throws -> UInt64 { UInt64(bitPattern: try int64()) }
    public mutating func int() throws -> Int { Int(try int64()) }
    public mutating func double() throws -> Double { Double(bitPattern: try uint64()) }
    public mutating func instant() throws -> Instant { Instant(nanoseconds: try int64()) }
    public mutating func bool() throws -> Bool { bytes[try take(1)] != 0 }

    public mutating func text() throws -> String {
        let count = try length(of: 1)
        let start = try take(count)
        return String(decoding: bytes[start..<start + count], as: UTF8.self)
    }

    public mutating func int64s() throws -> [Int64] {
        let count = try length(of: 8)
        let start = try take(count * 8)
        return bytes.withUnsafeBytes { raw in
            (0..<count).map { Int64(littleEndian: raw.loadUnaligned(fromByteOffset: start + $0 * 8, as: Int64.self)) }
        }
    }

    public mutating func value<Value: Packable>(_: Value.Type = Value.self) throws -> Value {
        try Value(unpacking: &self)
    }

    public mutating func optional<Value: Packable>(_: Value.Type = Value.self) throws -> Value? {
        try bool() ? try value() : nil
    }

    public mutating func list<Element>(_ read: (inout Unpacker) throws -> Element) throws -> [Element] {
        // An element takes at least one byte, so that a wrong count cannot ask for more memory than there are bytes.
        let count = try length(of: 1)
        var list: [Element] = []
        list.reserveCapacity(count)
        for _ in 0..<count { list.append(try read(&self)) }
        return list
    }

    public mutating func list<Element: Packable>(_: Element.Type = Element.self) throws -> [Element] {
        try list { try $0.value(Element.self) }
    }

    public mutating func dictionary<Key: Hashable, Value>(
        _ read: (inout Unpacker) throws -> (Key, Value)
    ) throws -> [Key: Value] {
        Dictionary(try list(read)) { _, last in last }
    }

    fileprivate mutating func raw() throws -> [UInt8] {
        let count = try length(of: 1)
        let start = try take(count)
        return Array(bytes[start..<start + count])
    }

    private mutating func length(of elementBytes: Int) throws -> Int {
        let count = try int64()
        guard count >= 0, count <= (bytes.count - position) / elementBytes else {
            throw UnpackError("a length of \(count) at byte \(position) is beyond the end")
        }
        return Int(count)
    }

    private mutating func take(_ count: Int) throws -> Int {
        guard count <= bytes.count - position else { throw UnpackError("cut off at byte \(position)") }
        defer { position += count }
        return position
    }
}

/// Messages pack as the wire writes them: what cannot be serialized (no message of this schema) packs as an empty one.
extension Packable where Self: SwiftProtobuf.Message {
    public func pack(into packer: inout Packer) {
        let bytes: [UInt8] = (try? serializedBytes()) ?? []
        packer.append(raw: bytes)
    }

    public init(unpacking unpacker: inout Unpacker) throws {
        try self.init(serializedBytes: try unpacker.raw())
    }
}

extension Proposal: Packable {}
extension SizedProposal: Packable {}
extension RiskDecision: Packable {}
extension Order: Packable {}
extension ExecutionReport: Packable {}
extension Command: Packable {}

// By their numbers in the schema; unknown ones stay what they are.
extension Side: Codable {}
extension DataOrigin: Codable {}
extension TradingState: Codable {}

extension Instant: Codable {
    /// The count of nanoseconds alone.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(nanoseconds)
    }

    public init(from decoder: any Swift.Decoder) throws {
        self.init(nanoseconds: try decoder.singleValueContainer().decode(Int64.self))
    }
}

extension TraceID: Codable {
    /// As a signed number: property lists know no larger one.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(Int64(bitPattern: value))
    }

    public init(from decoder: any Swift.Decoder) throws {
        self.init(UInt64(bitPattern: try decoder.singleValueContainer().decode(Int64.self)))
    }
}
