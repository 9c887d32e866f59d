import CLinux
import Foundation
import Wire

/// Short lines for whoever started the supervisor in a terminal. Never waits for the reader: a line that standard
/// output does not take at once is dropped.
struct Console {
    private let isTerminal: Bool
    var isQuiet: Bool

    init(isQuiet: Bool = false) {
        self.isQuiet = isQuiet
        isTerminal = isatty(1) == 1 && getenv("NO_COLOR") == nil
    }

    func state(_ agent: String, from: AgentState, to: AgentState, reason: String) {
        line("\(agent): \(from.rawValue) → \(paint(to))\(reason.isEmpty ? "" : " (\(reason))")")
    }

    func line(_ text: String) {
        guard !isQuiet else { return }
        var descriptor = pollfd(fd: 1, events: Int16(POLLOUT), revents: 0)
        guard poll(&descriptor, 1, 0) == 1, descriptor.revents & Int16(POLLOUT) != 0 else { return }
        // A pipe that polls writable takes PIPE_BUF (4,096) bytes without blocking.
        let time = Timestamp.now().text.dropFirst(11).prefix(12)
        let bytes = Array("\(time) \(text)".utf8.prefix(4_000)) + [10]
        _ = write(1, bytes, bytes.count)
    }

    private func paint(_ state: AgentState) -> String {
        guard isTerminal else { return state.rawValue }
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
