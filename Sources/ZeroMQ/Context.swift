import CZeroMQ
import Glibc

/// The home of sockets: libzmq's I/O threads and limits.
///
/// Thread-safe: one context serves all threads, while each socket belongs to the thread that uses it. Make it after
/// `fork`/`execve`; never fork a process that has one. Every socket keeps its context alive.
///
/// The orderly end is ``terminate(timeoutMs:)``. Without it, the context ends when the last reference to it goes.
public final class Context: Sendable {
    /// libzmq older than this lacks what the binding relies on (monitor handshake events, ipc fixes).
    public static let oldestVersion = (major: 4, minor: 3, patch: 4)

    nonisolated(unsafe) let raw: UnsafeMutableRawPointer
    let sockets = OpenSockets()

    /// - Parameters:
    ///   - ioThreads: background threads that move bytes; one carries a gigabyte a second.
    ///   - maximumSockets: sockets that may be open at once.
    /// - Throws: `invalidOption`, or `system` when descriptors or memory are short.
    public init(ioThreads: Int = 1, maximumSockets: Int = 1_023) throws(ZeroMQError) {
        try Self.requireVersion()
        guard (1...64).contains(ioThreads) else {
            throw ZeroMQError(
                .invalidOption, "context", problem: "ioThreads is \(ioThreads)", remedy: "use 1 to 64; 1 carries 1 GB/s"
            )
        }
        guard (1...65_535).contains(maximumSockets) else {
            throw ZeroMQError(
                .invalidOption, "context", problem: "maximumSockets is \(maximumSockets)", remedy: "use 1 to 65535")
        }
        guard let raw = zmq_ctx_new() else { throw .last("ctx_new") }
        self.raw = raw
        // BLOCKY 0: no socket of this context can linger for ever, whatever its own option says.
        for (option, value) in [
            (ZMQ_BLOCKY, 0), (ZMQ_IO_THREADS, CInt(ioThreads)), (ZMQ_MAX_SOCKETS, CInt(maximumSockets)),
        ] where zmq_ctx_set(raw, option, value) != 0 {
            throw .last("ctx_set")
        }
    }

    deinit {
        // No socket is left here (each holds a reference), so this waits for lingering messages only, which are bounded.
        sockets.unlessTerminated { Self.terminate(raw) }
    }

    /// Makes every blocked or later call on this context's sockets throw `terminated`, on whatever thread. Idempotent.
    public func shutdown() {
        sockets.unlessTerminated { _ = zmq_ctx_shutdown(raw) }
    }

    /// Shuts down, waits until all sockets are closed by their owners, and frees the context. Idempotent.
    ///
    /// - Parameter timeoutMs: how long other threads may take to close their sockets; 0 only checks.
    /// - Throws: `socketsOpen`, naming them, where libzmq would hang. The context stays shut down; call again after
    ///   they are closed.
    public func terminate(timeoutMs: Int = 1_000) throws(ZeroMQError) {
        shutdown()
        switch sockets.close(timeoutMs: timeoutMs) {
        case .closed: Self.terminate(raw)
        case .closedBefore: break
        case .open(let names):
            throw ZeroMQError(
                .socketsOpen, "ctx_term",
                problem: "\(names.count) sockets are open after \(timeoutMs) ms: \(names.joined(separator: ", "))",
                remedy: "let their owners see the terminated error and close them, then call terminate again")
        }
    }

    private static func terminate(_ raw: UnsafeMutableRawPointer) {
        while zmq_ctx_term(raw) != 0 && zmq_errno() == EINTR {}
    }

    private static func requireVersion() throws(ZeroMQError) {
        var major: CInt = 0
        var minor: CInt = 0
        var patch: CInt = 0
        zmq_version(&major, &minor, &patch)
        let oldest = (CInt(oldestVersion.major), CInt(oldestVersion.minor), CInt(oldestVersion.patch))
        guard (major, minor, patch) >= oldest else {
            throw ZeroMQError(
                .system, "ctx_new", problem: "libzmq is \(major).\(minor).\(patch), older than \(oldestVersion)",
                remedy: "install libzmq5 4.3.4 or newer")
        }
    }
}
