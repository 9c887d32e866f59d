import CLinux
import Foundation
import Wire

/// Short lines for whoever started the supervisor in a terminal. Never waits for the reader: what standard output does not
/// take at once is dropped.
final class Console {
    /// Longest line, bytes.
    static let maxLineBytes = 4_000

    private let output: Int32
    /// An open file of our own: nobody else's reads and writes become non-blocking by it.
    private let own: Descriptor?
    private let isSocket: Bool
    private let isColoured: Bool
    /// The last line was cut: the next begins a new one.
    private var isCut = false
    let isQuiet: Bool

    /// - Parameter output: standard output.
    init(isQuiet: Bool = false, output: Int32 = 1) {
        self.isQuiet = isQuiet
        self.output = output
        let isTerminal = isatty(output) == 1
        isColoured = isTerminal && getenv("NO_COLOR") == nil
        var info = stat()
        let kind = fstat(output, &info) == 0 ? info.st_mode & S_IFMT : 0
        isSocket = kind == S_IFSOCK
        // A terminal that polls writable may have room for one byte, and a write of more blocks until it is read on. Opened
        // anew, a regular file would be written from its start again; it never blocks.
        if kind == S_IFCHR || kind == S_IFIFO {
            own = try? Descriptor.open("/proc/self/fd/\(output)", O_WRONLY | O_NONBLOCK | O_NOCTTY)
            // Another user's terminal, as under su(1).
            if own == nil, isTerminal { _ = qp_set_nonblocking(output) }
        } else {
            own = nil
        }
    }

    func state(_ agent: String, from: AgentState, to: AgentState, reason: String) {
        print("\(agent.visible): \(from.rawValue) → \(paint(to))\(reason.isEmpty ? "" : " (\(reason.visible))")")
    }

    /// Names of files and words of manifests come in it: nothing of it steers the terminal.
    func line(_ text: String) { print(text.visible) }

    private func print(_ text: String) {
        guard !isQuiet else { return }
        var descriptor = pollfd(fd: own?.raw ?? output, events: Int16(POLLOUT), revents: 0)
        guard poll(&descriptor, 1, 0) == 1, descriptor.revents & Int16(POLLOUT) != 0 else { return }
        // To the millisecond, in UTC as everywhere else.
        let time = Timestamp.now().text.dropFirst(11).prefix(12)
        let bytes = (isCut ? [10] : []) + Array("\(time)Z \(text)".utf8.prefix(Self.maxLineBytes)) + [10]
        let taken =
            isSocket
            ? send(output, bytes, bytes.count, Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL))
            : write(descriptor.fd, bytes, bytes.count)
        if taken > 0 { isCut = taken < bytes.count }
    }

    private func paint(_ state: AgentState) -> String {
        guard isColoured else { return state.rawValue }
        let color =
            switch state {
            case .running: "32"
            case .failed: "31"
            case .backoff: "33"
            case .starting, .stopping: "36"
            case .stopped, .done: "90"
            }
        return "\u{1B}[\(color)m\(state.rawValue)\u{1B}[0m"
    }
}
