import Glibc

/// Checks around listening Unix and TCP sockets that libzmq leaves out.
enum Listener {
    /// Pauses between looks at an endpoint that is in use, in milliseconds: closing a socket takes effect a moment later in
    /// libzmq's background thread, and a process that is being replaced may take a moment to die.
    static let gracePausesMs: [CInt] = [1, 2, 4, 8, 16, 32, 64]

    /// Whether a process accepts connections at the path and goes on doing so.
    static func isHeld(_ path: String) -> Bool {
        for pause in gracePausesMs {
            if !answers(at: path) { return false }
            poll(nil, 0, pause)
        }
        return answers(at: path)
    }

    /// Whether a process accepts connections at the path. A file without a listener does not answer.
    static func answers(at path: String) -> Bool {
        let probe = socket(
            AF_UNIX, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue) | CInt(SOCK_NONBLOCK.rawValue), 0)
        guard probe >= 0 else { return false }
        defer { Glibc.close(probe) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(probe, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        // EAGAIN: someone listens, but the backlog is full.
        return result == 0 || Glibc.errno == EAGAIN
    }

    /// A duplicate (close-on-exec) of a descriptor that is checked to listen.
    static func duplicate(_ descriptor: CInt, for endpoint: Endpoint, _ subject: String) throws(ZeroMQError) -> CInt {
        let family: CInt? =
            switch endpoint.transport {
            case .ipc: AF_UNIX
            case .tcp: AF_INET
            case .inproc: nil
            }
        guard let family else {
            throw refusal(subject, "inproc endpoints have no descriptor", "bind without one")
        }
        guard let listens = option(SO_ACCEPTCONN, of: descriptor), let domain = option(SO_DOMAIN, of: descriptor) else {
            throw refusal(
                subject, "it is no socket: \(ZeroMQError.name(of: Glibc.errno))",
                "pass the supervisor's listening socket")
        }
        guard domain == family else {
            throw refusal(
                subject, "it is not a socket for \(endpoint.transport.rawValue)", "pass one of address family \(family)"
            )
        }
        guard listens == 1 else {
            throw refusal(subject, "it does not listen", "call listen() on it first")
        }
        let flags = fcntl(descriptor, F_GETFL)
        // Two incarnations may share the listener: the one that loses the race for a connection must not block in accept.
        guard flags >= 0, fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) == 0 else {
            throw .from(Glibc.errno, "fcntl O_NONBLOCK", on: subject)
        }
        let duplicate = fcntl(descriptor, F_DUPFD_CLOEXEC, 3)
        guard duplicate >= 0 else { throw .from(Glibc.errno, "fcntl F_DUPFD_CLOEXEC", on: subject) }
        return duplicate
    }

    private static func option(_ name: CInt, of descriptor: CInt) -> CInt? {
        var value: CInt = 0
        var size = socklen_t(MemoryLayout<CInt>.size)
        return getsockopt(descriptor, SOL_SOCKET, name, &value, &size) == 0 ? value : nil
    }

    private static func refusal(_ subject: String, _ problem: String, _ remedy: String) -> ZeroMQError {
        ZeroMQError(.notAListener, "bind", on: subject, problem: problem, remedy: remedy)
    }
}
