import FoundationEssentials

/// The capability in `RiskDecision.approval`: who holds it may trade what the decision says until `expiresAt`, because a
/// risk agent's shell has signed it with a key that only risk and venue agents are given. Layout and test vectors:
/// Sources/Wire/README.md §5. Here are only the bytes; the room `Authority` makes and checks the signature.
public struct Approval: Hashable, Sendable {
    /// "QPA" and the version of the layout.
    public static let magic: UInt32 = 0x0141_5051
    public static let codeByteCount = 32
    public static let byteCount = 20 + codeByteCount

    /// The key it is signed with, which is also its epoch: each key has a higher number than those before it.
    public var keyID: UInt64
    /// On this machine's monotonic clock.
    public var expiresAt: Instant
    /// HMAC-SHA256 over `signedBytes`.
    public var code: [UInt8]

    public init(keyID: UInt64, expiresAt: Instant, code: [UInt8]) {
        precondition(code.count == Self.codeByteCount, "HMAC-SHA256 has 32 bytes")
        self.keyID = keyID
        self.expiresAt = expiresAt
        self.code = code
    }

    /// nil when these are not the bytes of an approval of this version.
    public init?(_ bytes: some Collection<UInt8>) {
        guard bytes.count == Self.byteCount else { return nil }
        let bytes = Array(bytes)
        let words = bytes.withUnsafeBytes { raw in
            (
                UInt32(littleEndian: raw.loadUnaligned(as: UInt32.self)),
                UInt64(littleEndian: raw.loadUnaligned(fromByteOffset: 4, as: UInt64.self)),
                Int64(littleEndian: raw.loadUnaligned(fromByteOffset: 12, as: Int64.self))
            )
        }
        guard words.0 == Self.magic else { return nil }
        self.init(keyID: words.1, expiresAt: Instant(nanoseconds: words.2), code: Array(bytes[20...]))
    }

    /// The approval inside a decision.
    public init?(_ decision: RiskDecision) {
        self.init(decision.approvalBytes)
    }

    /// As it stands in `RiskDecision.approval`.
    public var bytes: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 20)
        bytes.withUnsafeMutableBytes { Self.writeHead(keyID: keyID, expiresAt: expiresAt, to: $0) }
        return bytes + code
    }

    static func writeHead(keyID: UInt64, expiresAt: Instant, to raw: UnsafeMutableRawBufferPointer) {
        raw.storeBytes(of: magic.littleEndian, as: UInt32.self)
        raw.storeBytes(of: keyID.littleEndian, toByteOffset: 4, as: UInt64.self)
        raw.storeBytes(of: expiresAt.nanoseconds.littleEndian, toByteOffset: 12, as: Int64.self)
    }

    /// Gives `body` the bytes that an approval of `decision` is signed over; they live as long as the call. nil, and no
    /// call, when a name is longer than `Limits.maxApprovalNameBytes`. No allocation.
    public static func withSignedBytes<Result>(
        of decision: RiskDecision, keyID: UInt64, expiresAt: Instant, _ body: (UnsafeRawBufferPointer) -> Result
    ) -> Result? {
        let names = (decision.proposalID, decision.symbol, decision.strategy)
        let most = Limits.maxApprovalNameBytes
        guard names.0.utf8.count <= most, names.1.utf8.count <= most, names.2.utf8.count <= most else { return nil }
        let count = 40 + 12 + names.0.utf8.count + names.1.utf8.count + names.2.utf8.count
        return withUnsafeTemporaryAllocation(byteCount: count, alignment: 8) { raw in
            writeHead(keyID: keyID, expiresAt: expiresAt, to: raw)
            let side = Int32(truncatingIfNeeded: decision.side.rawValue)
            raw.storeBytes(of: side.littleEndian, toByteOffset: 20, as: Int32.self)
            raw.storeBytes(of: decision.quantityE8.littleEndian, toByteOffset: 24, as: Int64.self)
            raw.storeBytes(of: decision.limitPriceE8.littleEndian, toByteOffset: 32, as: Int64.self)
            var offset = 40
            append(names.0, to: raw, at: &offset)
            append(names.1, to: raw, at: &offset)
            append(names.2, to: raw, at: &offset)
            return body(UnsafeRawBufferPointer(raw))
        }
    }

    private static func append(_ name: String, to raw: UnsafeMutableRawBufferPointer, at offset: inout Int) {
        let utf8 = name.utf8
        raw.storeBytes(of: UInt32(utf8.count).littleEndian, toByteOffset: offset, as: UInt32.self)
        offset += 4
        UnsafeMutableRawBufferPointer(rebasing: raw[offset...]).copyBytes(from: utf8)
        offset += utf8.count
    }
}

extension RiskDecision {
    /// `approval` without Foundation's `Data`.
    public var approvalBytes: [UInt8] {
        get { Array(approval) }
        set { approval = .init(newValue) }
    }
}

/// What the shell of a venue agent found out about the decision inside an order. Anything but `valid` is to be refused.
/// The raw value stands in journals and is never reused.
public enum ApprovalVerdict: UInt8, Sendable, Hashable, CaseIterable {
    /// Not an order, or not received by an agent of role venue.
    case notAsked = 0
    case valid = 1
    /// The order carries no decision, or one without an approval.
    case missing = 2
    /// The approval is not of this version's form, or names in the decision are too long to be signed.
    case malformed = 3
    /// Its key was never known here, or so long ago that it is forgotten.
    case unknownKey = 4
    /// Its key has been replaced, and the grace for orders in flight is over.
    case expiredKey = 5
    /// Not signed with the key it names, or changed since.
    case forged = 6
    case expired = 7
    /// This agent was given no keys: nothing can be checked.
    case noKeys = 8

    /// Why the order is refused; for logs and reports.
    public var reason: String {
        switch self {
        case .notAsked: "the approval was not checked"
        case .valid: "the approval is valid"
        case .missing: "no approval"
        case .malformed: "the approval is malformed"
        case .unknownKey: "the approval's key is unknown"
        case .expiredKey: "the approval's key has expired"
        case .forged: "the approval is forged or altered"
        case .expired: "the approval has expired"
        case .noKeys: "this agent holds no keys to check approvals with"
        }
    }
}
