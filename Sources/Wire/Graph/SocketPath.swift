/// Where a port's socket lives: `<run>/w/<8 hex digits of FNV-1a of "Agent.port">.s`. Short, because an ipc path ends
/// at 107 bytes, and stable, because a restarted agent must be found again.
public enum SocketPath {
    /// The folder under the run directory that holds the sockets.
    public static let folder = "w"
    /// Bytes that a path has beyond the run directory.
    public static let suffixBytes = "/\(folder)/00000000.s".utf8.count

    /// The socket file of a port.
    public static func path(of port: PortID, runDirectory: String) -> String {
        let hash = fnv1a32(port.description.utf8)
        let hex = String(hash, radix: 16)
        return "\(runDirectory)/\(folder)/\(String(repeating: "0", count: 8 - hex.count))\(hex).s"
    }

    /// `ipc://` and the path of the socket on which `agent` hears acknowledgements.
    public static func acks(of agent: String, runDirectory: String) -> String {
        ipc(of: PortID(agent: agent, port: Wiring.acksName), runDirectory: runDirectory)
    }

    /// `ipc://` and the path.
    public static func ipc(of port: PortID, runDirectory: String) -> String {
        "ipc://" + path(of: port, runDirectory: runDirectory)
    }
}

/// FNV-1a, 32 bit (Fowler, Noll, Vo; draft-eastlake-fnv): small, and the same in every language.
public func fnv1a32(_ bytes: some Sequence<UInt8>) -> UInt32 {
    bytes.reduce(0x811C_9DC5) { ($0 ^ UInt32($1)) &* 0x0100_0193 }
}
