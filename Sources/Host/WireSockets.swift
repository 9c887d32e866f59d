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

    /// `directory` holds nothing but these sockets; what a predecessor left there is removed. Only under the lock.
    init(directory: String) {
        self.directory = directory
        for name in (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? [] where name.hasSuffix(".s") {
            unlink("\(directory)/\(name)")
        }
    }

    /// Opens what `wirings` bind and is not open yet. Returns the sockets that could not be opened.
    func open(for wirings: some Sequence<Wiring>) -> [String: String] {
        var failures: [String: String] = [:]
        for wiring in wirings {
            for (port, listener) in wiring.boundPorts {
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
            try socket(at: Self.path(of: listener), owner: "\(wiring.agent).\(port)").raw
        }
    }

    private func socket(at path: String, owner: String) throws -> Descriptor {
        if let open = listeners[path] {
            guard open.owner == owner else { throw SharedName(first: open.owner, second: owner) }
            return open.descriptor
        }
        let opened = Descriptor(try check(qp_listen_unix(path, Self.backlog), "listen for \(owner) at", path))
        listeners[path] = Listener(owner: owner, descriptor: opened)
        return opened
    }

    /// Two ports whose names have the same hash.
    struct SharedName: Error, CustomStringConvertible {
        let first: String
        let second: String
        var description: String { "ports \(first) and \(second) would share one socket; rename one of them" }
    }

    func closeAll() { close(exceptFor: []) }

    private static func path(of listener: Wiring.Listener) -> String {
        listener.endpoint.hasPrefix("ipc://") ? String(listener.endpoint.dropFirst(6)) : listener.endpoint
    }
}
