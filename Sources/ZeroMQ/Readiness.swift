/// What can be done without blocking. The raw values are libzmq's (ZMQ_POLLIN, ZMQ_POLLOUT, ZMQ_POLLERR).
public struct Readiness: OptionSet, Sendable, Hashable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// A message is waiting; a descriptor has bytes, a connection or its end.
    public static let readable = Readiness(rawValue: 1)
    /// A message would be accepted; a descriptor takes bytes.
    public static let writable = Readiness(rawValue: 2)
    /// Descriptors only: error, hang-up or not open. Reported whether asked for or not.
    public static let failed = Readiness(rawValue: 4)
}
