/// A place in the operator's commands to one agent. The epoch goes up when the supervisor begins a new record of them,
/// the sequence counts within an epoch from 1 without a gap.
public struct LinkPosition: Hashable, Comparable, Sendable {
    public var epoch: UInt64
    public var sequence: UInt64

    public init(epoch: UInt64, sequence: UInt64) {
        self.epoch = epoch
        self.sequence = sequence
    }

    /// Nothing applied yet.
    public static let none = LinkPosition(epoch: 0, sequence: 0)

    public static func < (left: LinkPosition, right: LinkPosition) -> Bool {
        (left.epoch, left.sequence) < (right.epoch, right.sequence)
    }
}

/// One packet on the supervisor link (`<run>/link.sock`, SOCK_SEQPACKET): who is there, what an operator commands, and
/// what of it was applied. The end of the connection says that the other side is gone.
///
/// ```text
/// agent → supervisor   hello(incarnation, last applied)    first, on every connection
/// supervisor → agent   welcome                             it is known who speaks
/// supervisor → agent   frame                               Header and Command; all after "last applied", in order
/// agent → supervisor   applied(position)                   cumulative
/// agent → supervisor   frame                               Header and Command: the trading state that it has announced;
///                                                          after each welcome and when it changes, before "applied"
/// supervisor → agent   upgrading                           the connection ends now, and that is no loss
/// ```
/// A packet that is not a frame has 32 bytes: `51 4C` ("QL"), version 1, kind, 4 zero bytes, three little-endian words.
public enum LinkPacket: Equatable, Sendable {
    case hello(incarnation: UInt64, applied: LinkPosition)
    case welcome
    case applied(LinkPosition)
    case upgrading

    public static let byteCount = 32
    static let version: UInt8 = 1

    public var bytes: [UInt8] {
        let (kind, words): (UInt8, [UInt64]) =
            switch self {
            case .hello(let incarnation, let applied): (1, [incarnation, applied.epoch, applied.sequence])
            case .welcome: (2, [0, 0, 0])
            case .applied(let position): (3, [0, position.epoch, position.sequence])
            case .upgrading: (4, [0, 0, 0])
            }
        var bytes: [UInt8] = [UInt8(ascii: "Q"), UInt8(ascii: "L"), Self.version, kind, 0, 0, 0, 0]
        for word in words { withUnsafeBytes(of: word.littleEndian) { bytes.append(contentsOf: $0) } }
        return bytes
    }

    /// nil: not one of these packets (a frame, another version, rubbish).
    public init?(_ packet: UnsafeRawBufferPointer) {
        guard packet.count == Self.byteCount, packet[0] == UInt8(ascii: "Q"), packet[1] == UInt8(ascii: "L"),
            packet[2] == Self.version, packet[4..<8].allSatisfy({ $0 == 0 })
        else { return nil }
        func word(_ index: Int) -> UInt64 {
            UInt64(littleEndian: packet.loadUnaligned(fromByteOffset: 8 + 8 * index, as: UInt64.self))
        }
        let position = LinkPosition(epoch: word(1), sequence: word(2))
        switch packet[3] {
        case 1: self = .hello(incarnation: word(0), applied: position)
        case 2: self = .welcome
        case 3: self = .applied(position)
        case 4: self = .upgrading
        default: return nil
        }
    }
}
