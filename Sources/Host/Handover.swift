import CLinux
import Foundation
import Wire

/// Descriptors that a supervisor which replaced its own program left open for itself: the notify socket with what waits
/// in it, listening sockets, the agents' log pipes. What each of them is, the kernel tells.
final class Handover {
    /// Names them in the environment of the new program, and nowhere else.
    static let variable = "QP_HANDED_DOWN"
    /// Names the run directory to a program that is to take a living supervisor's place, and to the check of one.
    static let takeover = "QP_TAKES_OVER"
    static let maxDescriptors = 16_384
    /// Of executing a program that somebody has open for writing; every agent runs on meanwhile.
    static let maxAttempts = 10
    static let attemptPauseUs: UInt32 = 10_000

    private(set) var listeners: [String: Descriptor] = [:]
    private(set) var notify: Descriptor?
    /// Pipes keep their content as long as somebody has them open.
    private var others: [Descriptor] = []

    /// The run directory that this process is to take over from itself, or to say whether it could; nil: it begins by itself.
    static var takenOver: String? { getenv(takeover).map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 } }

    /// What the environment names; nobody has taken it yet.
    static var numbers: [Int32] {
        let text = getenv(variable).map { String(cString: $0) } ?? ""
        return text.split(separator: ",").prefix(maxDescriptors).compactMap { Int32($0) }.filter { $0 > 2 }
    }

    /// Takes what the environment names, if it is open and above stdio. What it is, the kernel tells.
    init(notifySocket: String) {
        let numbers = Self.numbers
        unsetenv(Self.variable)
        unsetenv(Self.takeover)
        for number in numbers where Self.closesOnExec(number, true) {
            let descriptor = Descriptor(number)
            var path = [CChar](repeating: 0, count: Limits.maxSocketPathBytes + 1)
            if qp_listening_path(number, &path, path.count) == 1 {
                listeners[Self.text(path)] = descriptor
            } else if qp_bound_path(number, &path, path.count) == 1, Self.text(path) == notifySocket {
                notify = descriptor
            } else {
                others.append(descriptor)
            }
        }
    }

    /// Everything is opened anew: what was only kept is closed.
    func close() {
        others = []
        listeners = [:]
        notify = nil
    }

    private static func text(_ path: [CChar]) -> String {
        String(decoding: path.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// False when it is not open.
    @discardableResult
    static func closesOnExec(_ descriptor: Int32, _ closes: Bool) -> Bool {
        let flags = fcntl(descriptor, F_GETFD)
        return flags >= 0 && fcntl(descriptor, F_SETFD, closes ? flags | FD_CLOEXEC : flags & ~FD_CLOEXEC) >= 0
    }

    /// The new program takes our place: same pid, same children. Returns only when it can't be executed.
    static func execute(
        _ program: String, _ arguments: [String], of runDirectory: String, keeping descriptors: [Int32]
    ) -> PosixError {
        let kept = descriptors.prefix(maxDescriptors).filter { closesOnExec($0, false) }
        setenv(variable, kept.map(String.init).joined(separator: ","), 1)
        setenv(takeover, runDirectory, 1)
        var pointers: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) }
        pointers.append(nil)
        for attempt in 1...maxAttempts {
            execv(program, pointers)
            // Busy again since `UpgradeCheck` saw it free.
            guard errno == ETXTBSY, attempt < maxAttempts else { break }
            usleep(attemptPauseUs)
        }
        let error = PosixError("execute", program)
        for descriptor in kept { closesOnExec(descriptor, true) }
        unsetenv(variable)
        unsetenv(takeover)
        for pointer in pointers { free(pointer) }
        return error
    }
}
