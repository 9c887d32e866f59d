import CLinux
import Foundation
import Wire

/// The listening sockets of all bound ports. The supervisor holds them for good and hands them to each incarnation
/// (ZMQ_USE_FD): nobody can steal an endpoint, peers that connect while an agent restarts wait in the backlog instead
/// of being refused, and no stale file is left to trip over.
final class WireSockets {
    /// Connections that wait while an agent is down: every peer of a port at once.
    static let backlog = Int32(2 * Limits.maxPeersPerPort)

    private struct Listener {
        /// "Agent.port": names are hashed to paths, and two may meet in one.
        let owner: String
        let descriptor: Descriptor
    }

    private var listeners: [String: Listener] = [:]
    private let directory: String
    /// Got back from a predecessor's agents, and not asked for yet.
    private var inherited: [String: Descriptor] = [:]
    /// Held by agents that were taken over, and not to be had: left alone as long as these live.
    private var lent: Set<String> = []

    /// `directory` holds nothing but these sockets. Only under the lock.
    init(directory: String) { self.directory = directory }

    /// Takes over what a predecessor's agents still listen on; what nobody listens on any more is removed.
    func inherit(_ open: [String: Descriptor], lent: Set<String>) {
        inherited = open
        self.lent = lent
        for name in (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? [] where name.hasSuffix(".s") {
            let path = "\(directory)/\(name)"
            if open[path] == nil, !lent.contains(path) { unlink(path) }
        }
    }

    /// Opens what `wirings` bind and is not open yet. Returns the sockets that could not be opened.
    func open(for wirings: some Sequence<Wiring>) -> [String: String] {
        var failures: [String: String] = [:]
        for wiring in wirings {
            for (port, listener) in wiring.boundPorts where !lent.contains(Self.path(of: listener)) {
                do { _ = try socket(at: Self.path(of: listener), owner: "\(wiring.agent).\(port)") } catch {
                    failures[Self.path(of: listener)] = "\(error)"
                }
            }
        }
        return failures
    }

    /// Closes the sockets that none of `wirings` binds any more.
    func close(exceptFor wirings: some Sequence<Wiring>) {
        let wanted = Set(wirings.flatMap { $0.boundPorts.map { Self.path(of: $0.listener) } })
        for (path, listener) in listeners where !wanted.contains(path) {
            listener.descriptor.close()
            unlink(path)
            listeners[path] = nil
        }
    }

    /// The descriptors an agent gets, in the order its wiring numbers them.
    func descriptors(for wiring: Wiring) throws -> [Int32] {
        try wiring.boundPorts.map { port, listener in
            // Whoever held it has ended: peers connect anew.
            if lent.remove(Self.path(of: listener)) != nil { unlink(Self.path(of: listener)) }
            return try socket(at: Self.path(of: listener), owner: "\(wiring.agent).\(port)").raw
        }
    }

    private func socket(at path: String, owner: String) throws -> Descriptor {
        if let open = listeners[path] {
            guard open.owner == owner else { throw SharedName(first: open.owner, second: owner) }
            return open.descriptor
        }
        let opened =
            try inherited.removeValue(forKey: path)
            ?? Descriptor(check(qp_listen_unix(path, Self.backlog), "listen for \(owner) at", path))
        listeners[path] = Listener(owner: owner, descriptor: opened)
        return opened
    }

    /// Two ports whose names have the same hash.
    struct SharedName: Error, CustomStringConvertible {
        let first: String
        let second: String
        var description: String { "ports \(first) and \(second) would share one socket; rename one of them" }
    }

    var handles: [Int32] { listeners.values.map(\.descriptor.raw) }

    func closeAll() { close(exceptFor: []) }

    private static func path(of listener: Wiring.Listener) -> String {
        listener.endpoint.hasPrefix("ipc://") ? String(listener.endpoint.dropFirst(6)) : listener.endpoint
    }
}
