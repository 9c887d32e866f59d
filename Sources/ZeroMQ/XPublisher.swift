import CZeroMQ

/// A publisher that sees its subscribers come and go: send when they are there, and nothing is lost to slow joining.
///
/// Read ``nextSubscription()`` until `nil` whenever the socket is `readable`: unread events pile up in memory.
public struct XPublisher: ~Copyable, Sending {
    /// Which subscriptions are reported.
    public enum Reporting: Sendable {
        /// The first subscriber of a prefix, and the going of the last.
        case distinct
        /// Every subscriber of a prefix, and the going of the last (ZMQ_XPUB_VERBOSE).
        case everyJoin
        /// Every coming and every going (ZMQ_XPUB_VERBOSER): what counting subscribers needs.
        case everyJoinAndLeave
    }

    /// What happens when a subscriber's queue is full.
    public enum Overflow: Sendable {
        /// The message is dropped for that subscriber, silently.
        case drop
        /// `send` returns `false` and sends to nobody (ZMQ_XPUB_NODROP): one slow subscriber holds up all.
        case refuse
    }

    /// Messages other than subscriptions that one call skips at most; any subscriber could send such.
    static let maximumSkipped = 64
    /// Longest topic reported; a longer one is skipped.
    static let maximumTopicBytes = 64 << 10

    let owner: SocketOwner
    private var incoming: ReceiveBuffer
    public var handle: SocketHandle { owner.handle }

    /// Opens a socket that has neither bound nor connected yet.
    public init(
        _ context: Context, _ options: SocketOptions = SocketOptions(), reporting: Reporting = .distinct,
        whenFull overflow: Overflow = .drop
    ) throws(ZeroMQError) {
        owner = try Self.open(context, options, reporting, overflow)
        incoming = ReceiveBuffer(maximumBytes: Self.maximumTopicBytes)
    }

    private static func open(
        _ context: Context, _ options: SocketOptions, _ reporting: Reporting, _ overflow: Overflow
    ) throws(ZeroMQError) -> SocketOwner {
        let owner = try SocketOwner(.xPublisher, in: context, options)
        let handle = owner.handle
        switch reporting {
        case .distinct: break
        case .everyJoin: try handle.set(ZMQ_XPUB_VERBOSE, "XPUB_VERBOSE", 1)
        case .everyJoinAndLeave: try handle.set(ZMQ_XPUB_VERBOSER, "XPUB_VERBOSER", 1)
        }
        if overflow == .refuse { try handle.set(ZMQ_XPUB_NODROP, "XPUB_NODROP", 1) }
        return owner
    }

    /// The next coming or going of a subscriber, without blocking; `nil` when there is none.
    ///
    /// What a peer sends besides subscriptions is skipped. A subscriber that is killed is reported as leaving as soon as its
    /// connection ends; with its reconnection it joins again.
    /// - Throws: `terminated`.
    public mutating func nextSubscription() throws(ZeroMQError) -> SubscriptionEvent? {
        for _ in 0..<Self.maximumSkipped {
            do {
                guard try handle.receive(into: &incoming, ZMQ_DONTWAIT) else { return nil }
                if let event = SubscriptionEvent(incoming.contents) { return event }
            } catch  where error.code == .multipart || error.code == .messageTooLarge {
                continue
            }
        }
        return nil
    }
}

/// A change in what is subscribed to at an ``XPublisher``.
public enum SubscriptionEvent: Sendable, Equatable {
    case joined(topic: [UInt8])
    case left(topic: [UInt8])

    /// ZMTP: one byte, 1 to subscribe and 0 to unsubscribe, then the prefix.
    init?(_ bytes: UnsafeRawBufferPointer) {
        guard let first = bytes.first else { return nil }
        let topic = Array(bytes.dropFirst())
        switch first {
        case 0: self = .left(topic: topic)
        case 1: self = .joined(topic: topic)
        default: return nil
        }
    }
}
