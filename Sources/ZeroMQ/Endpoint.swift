/// A place to bind to or connect to, checked when it is made: a value of this type is well formed.
///
/// - `ipc://<path>`: a Unix socket; `ipc://@<name>` is Linux' abstract namespace (no file, no permissions).
/// - `inproc://<name>`: within one context.
/// - `tcp://127.x.y.z:<port>`: this machine only; port 0 lets the kernel choose when binding.
///
/// Traffic to other machines is the business of an agent that encrypts it, so other TCP addresses are refused.
public struct Endpoint: Sendable, Hashable, CustomStringConvertible {
    /// Longest path of a Unix socket on Linux in bytes: `sun_path` has 108, one is for the final NUL.
    public static let maximumPathBytes = 107
    /// Longest `inproc` name in bytes; a limit of ours, libzmq states none.
    public static let maximumNameBytes = 255

    public enum Transport: String, Sendable {
        case ipc
        case inproc
        case tcp
    }

    public let transport: Transport
    /// What follows `transport://`: the path, the name, or `address:port`.
    public let address: String

    public var description: String { "\(transport.rawValue)://\(address)" }

    /// Whether the address is a file that `bind` creates.
    var isFile: Bool { transport == .ipc && !address.hasPrefix("@") }

    /// Parses and checks an endpoint.
    /// - Throws: `invalidEndpoint`, naming what is wrong; for a path that is too long also its length in `sizeBytes`.
    public init(_ text: String) throws(ZeroMQError) {
        guard let separator = Self.scheme(of: text), let transport = Transport(rawValue: separator.scheme) else {
            throw Self.malformed(
                text, "has no transport this platform uses", "write ipc://PATH, inproc://NAME or tcp://127.0.0.1:PORT")
        }
        try self.init(transport, separator.rest, as: text)
    }

    /// `ipc://<path>`.
    public static func ipc(path: String) throws(ZeroMQError) -> Endpoint {
        try Endpoint(.ipc, path, as: "ipc://\(path)")
    }

    /// `inproc://<name>`.
    public static func inproc(_ name: String) throws(ZeroMQError) -> Endpoint {
        try Endpoint(.inproc, name, as: "inproc://\(name)")
    }

    private init(_ transport: Transport, _ address: String, as text: String) throws(ZeroMQError) {
        if address.utf8.contains(0) {
            throw Self.malformed(text, "contains a NUL byte", "remove it")
        }
        switch transport {
        case .ipc: try Self.checkPath(address, of: text)
        case .inproc: try Self.checkName(address, of: text)
        case .tcp: try Self.checkLoopback(address, of: text)
        }
        self.transport = transport
        self.address = address
    }

    private static func scheme(of text: String) -> (scheme: String, rest: String)? {
        let bytes = Array(text.utf8)
        guard let colon = bytes.firstIndex(of: UInt8(ascii: ":")), bytes[colon...].starts(with: "://".utf8) else {
            return nil
        }
        return (
            String(decoding: bytes[..<colon], as: UTF8.self), String(decoding: bytes[(colon + 3)...], as: UTF8.self)
        )
    }

    private static func checkPath(_ path: String, of text: String) throws(ZeroMQError) {
        let size = path.utf8.count
        if size == 0 || path == "@" {
            throw malformed(text, "names no path", "write ipc:///run/directory/name")
        }
        if path == "*" {
            throw malformed(text, "lets libzmq invent a path that no peer knows", "name the path")
        }
        if size > maximumPathBytes {
            throw ZeroMQError(
                .invalidEndpoint, "endpoint", on: text, sizeBytes: size, limitBytes: maximumPathBytes,
                problem: "the path has \(size) bytes, a Unix socket's path at most \(maximumPathBytes)",
                remedy: "choose a shorter run directory")
        }
    }

    private static func checkName(_ name: String, of text: String) throws(ZeroMQError) {
        let size = name.utf8.count
        if size == 0 {
            throw malformed(text, "names nothing", "write inproc://NAME")
        }
        if size > maximumNameBytes {
            throw ZeroMQError(
                .invalidEndpoint, "endpoint", on: text, sizeBytes: size, limitBytes: maximumNameBytes,
                problem: "the name has \(size) bytes, at most \(maximumNameBytes) are allowed", remedy: "shorten it")
        }
    }

    private static func checkLoopback(_ address: String, of text: String) throws(ZeroMQError) {
        let parts = address.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, UInt16(parts[1]) != nil else {
            throw malformed(text, "is not address:port", "write tcp://127.0.0.1:PORT, with a port from 0 to 65535")
        }
        let octets = parts[0].split(separator: ".", omittingEmptySubsequences: false)
        guard octets.count == 4, octets.allSatisfy({ UInt8($0) != nil }), octets[0] == "127" else {
            throw malformed(
                text, "is not a numeric loopback address",
                "use 127.0.0.1; traffic to other machines goes through the bridge agent, which encrypts it")
        }
    }

    private static func malformed(_ text: String, _ problem: String, _ remedy: String) -> ZeroMQError {
        ZeroMQError(.invalidEndpoint, "endpoint", on: "\"\(text)\"", problem: problem, remedy: remedy)
    }
}
