import CZeroMQ

/// The socket patterns used here, in libzmq's numbers.
enum Role: Sendable {
    case pair
    case publisher
    case xPublisher
    case subscriber
    case push
    case pull

    var name: String {
        switch self {
        case .pair: "Pair"
        case .publisher: "Publisher"
        case .xPublisher: "XPublisher"
        case .subscriber: "Subscriber"
        case .push: "Push"
        case .pull: "Pull"
        }
    }

    var type: CInt {
        switch self {
        case .pair: ZMQ_PAIR
        case .publisher: ZMQ_PUB
        case .xPublisher: ZMQ_XPUB
        case .subscriber: ZMQ_SUB
        case .push: ZMQ_PUSH
        case .pull: ZMQ_PULL
        }
    }

    var canConflate: Bool {
        switch self {
        case .publisher, .subscriber, .push, .pull: true
        case .pair, .xPublisher: false
        }
    }

    /// Whether readiness to receive is the only thing that a peer's action can change.
    var onlyReceives: Bool { self == .pull || self == .subscriber }
}
