import CZeroMQ
import Glibc

/// What went wrong in a libzmq call or in a check made before it, and what to do about it.
///
/// "Would block" (`EAGAIN`) and "interrupted" (`EINTR`) never appear here: the first is an ordinary answer (`nil`, `false`),
/// the second is retried.
public struct ZeroMQError: Error, Sendable, Equatable {
    /// The kind of failure; new kinds may be added, so compare instead of switching over all of them.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        private let name: String
        private init(_ name: String) { self.name = name }

        /// The context was shut down; close the socket.
        public static let terminated = Code("terminated")
        /// The text is not an endpoint this platform uses.
        public static let invalidEndpoint = Code("invalidEndpoint")
        /// A socket option is out of its range, or does not apply to the role.
        public static let invalidOption = Code("invalidOption")
        /// Someone else listens on the endpoint.
        public static let endpointInUse = Code("endpointInUse")
        /// The descriptor given to `bind` is not a listening socket of the endpoint's kind.
        public static let notAListener = Code("notAListener")
        /// The message is larger than a stated limit; see `sizeBytes` and `limitBytes`.
        public static let messageTooLarge = Code("messageTooLarge")
        /// The peer sent a message of several frames; it was consumed whole.
        public static let multipart = Code("multipart")
        /// Termination was asked for while sockets are open.
        public static let socketsOpen = Code("socketsOpen")
        /// The socket has a monitor already.
        public static let alreadyMonitored = Code("alreadyMonitored")
        /// The poller holds as many entries as it was made for.
        public static let pollerFull = Code("pollerFull")
        /// Any other `errno`; see ``ZeroMQError/errno``.
        public static let system = Code("system")

        public var description: String { name }
    }

    public let code: Code
    /// The call that failed, in libzmq's words (`bind`, `send`, `setsockopt LINGER`).
    public let operation: String
    /// The endpoint or the role concerned, when there is one.
    public let subject: String?
    /// `errno` as libzmq reported it; 0 when the failure was found before any call.
    public let errno: CInt
    /// Size of the offending thing in bytes (a message, a path), when the failure is about size.
    public let sizeBytes: Int?
    /// The limit which that size exceeds, in bytes.
    public let limitBytes: Int?
    /// What is wrong, in words.
    public let problem: String
    /// The next step for whoever reads this.
    public let remedy: String

    init(
        _ code: Code, _ operation: String, on subject: String? = nil, errno: CInt = 0, sizeBytes: Int? = nil,
        limitBytes: Int? = nil, problem: String, remedy: String
    ) {
        self.code = code
        self.operation = operation
        self.subject = subject
        self.errno = errno
        self.sizeBytes = sizeBytes
        self.limitBytes = limitBytes
        self.problem = problem
        self.remedy = remedy
    }

    /// The error libzmq left in `errno` for the call just made on this thread.
    static func last(_ operation: String, on subject: String? = nil) -> ZeroMQError {
        from(zmq_errno(), operation, on: subject)
    }

    static func from(_ number: CInt, _ operation: String, on subject: String? = nil) -> ZeroMQError {
        ZeroMQError(
            code(of: number), operation, on: subject, errno: number,
            problem: "\(name(of: number)) (\(String(cString: zmq_strerror(number))))", remedy: remedy(for: number))
    }

    private static func code(of number: CInt) -> Code {
        switch number {
        case zmqTerminated: .terminated
        case EADDRINUSE: .endpointInUse
        default: .system
        }
    }

    /// The symbol of an `errno` value, `errno N` when it is not one that libzmq produces.
    static func name(of number: CInt) -> String {
        let names: [CInt: String] = [
            EACCES: "EACCES", EADDRINUSE: "EADDRINUSE", EADDRNOTAVAIL: "EADDRNOTAVAIL", EAGAIN: "EAGAIN",
            EBADF: "EBADF", ECONNREFUSED: "ECONNREFUSED", EFAULT: "EFAULT", EINTR: "EINTR", EINVAL: "EINVAL",
            EMFILE: "EMFILE", ENFILE: "ENFILE", ENAMETOOLONG: "ENAMETOOLONG", ENODEV: "ENODEV", ENOENT: "ENOENT",
            ENOMEM: "ENOMEM", ENOTDIR: "ENOTDIR", ENOTSOCK: "ENOTSOCK", ENOTSUP: "ENOTSUP", EPERM: "EPERM",
            EPROTONOSUPPORT: "EPROTONOSUPPORT", EROFS: "EROFS", EHOSTUNREACH: "EHOSTUNREACH",
            ECONNRESET: "ECONNRESET", ECONNABORTED: "ECONNABORTED", ETIMEDOUT: "ETIMEDOUT", EISDIR: "EISDIR",
            zmqTerminated: "ETERM", zmqWrongState: "EFSM", zmqIncompatibleProtocol: "ENOCOMPATPROTO",
            zmqNoThread: "EMTHREAD",
        ]
        return names[number] ?? "errno \(number)"
    }

    private static func remedy(for number: CInt) -> String {
        switch number {
        case zmqTerminated: "the context was shut down: close this socket and leave the loop"
        case EADDRINUSE: "stop the process that listens there, or choose another path"
        case EACCES, EPERM: "make the run directory writable for this user (mode 0700, own uid)"
        case ENOENT, ENOTDIR: "create the directory of the endpoint first"
        case EROFS: "choose a run directory on a writable file system"
        case EISDIR: "the path is a directory: choose a file name inside it"
        case EMFILE, ENFILE: "raise the limit on open files (limits.files), or the context's maximum of sockets"
        case ENOMEM: "raise the memory limit"
        case ENOTSUP: "this socket role cannot do that"
        case ENOTSOCK: "the socket is closed: open a new one"
        case EINVAL: "check the value against the documentation of the option or call"
        default: "see zmq_\(number == zmqWrongState ? "send" : "socket")(3) for this errno"
        }
    }
}

extension ZeroMQError: CustomStringConvertible {
    public var description: String {
        "\(operation)\(subject.map { " \($0)" } ?? ""): \(problem); \(remedy)"
    }
}

// libzmq's own errno values: 156384712 + n (zmq.h, "Native 0MQ error codes").
let zmqWrongState: CInt = 156_384_763
let zmqIncompatibleProtocol: CInt = 156_384_764
let zmqTerminated: CInt = 156_384_765
let zmqNoThread: CInt = 156_384_766
