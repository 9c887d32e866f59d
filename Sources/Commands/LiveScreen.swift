import Glibc

/// A terminal that is redrawn in place: no echo, keys one by one, the screen as it was when it ends. On anything but a
/// terminal it does nothing, and its keys never come.
final class LiveScreen {
    enum Key: Equatable {
        case quit
        case other(UInt8)
    }

    /// Rows where the terminal does not tell.
    static let usualRows = 24
    private var saved: termios?

    init() {
        guard Terminal.isOutputTerminal, isatty(STDIN_FILENO) == 1 else { return }
        var settings = termios()
        guard tcgetattr(STDIN_FILENO, &settings) == 0 else { return }
        saved = settings
        // ISIG too: Ctrl-C comes as a key, so that the screen is put back before the end.
        settings.c_lflag &= ~tcflag_t(ICANON | ECHO | ISIG)
        tcsetattr(STDIN_FILENO, TCSANOW, &settings)
        // The other screen, without a cursor, and cut instead of wrapped where the terminal has become narrower since it was asked.
        write("\u{1B}[?1049h\u{1B}[?25l\u{1B}[?7l")
    }

    deinit { close() }

    func close() {
        guard var settings = saved else { return }
        saved = nil
        write("\u{1B}[?7h\u{1B}[?25h\u{1B}[?1049l")
        tcsetattr(STDIN_FILENO, TCSANOW, &settings)
    }

    static var rows: Int {
        var size = winsize()
        guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_row > 0 else { return usualRows }
        return Int(size.ws_row)
    }

    /// Shows the lines in place of what is there. Those beyond the last row are left out.
    func draw(_ lines: [String]) { write(Self.text(lines, rows: Self.rows)) }

    /// Home, each line on a cleared one, and what is left below cleared: no flicker. Cleared before it is written, since a cursor
    /// behind a line's last column still stands on it.
    static func text(_ lines: [String], rows: Int) -> String {
        let shown = lines.prefix(max(1, rows))
        return "\u{1B}[H" + shown.map { "\u{1B}[2K" + $0 }.joined(separator: "\r\n")
            + (shown.count < rows ? "\r\n\u{1B}[J" : "")
    }

    /// The next key within the time; nil if none came.
    func key(within seconds: Double) -> Key? {
        guard saved != nil else {
            usleep(useconds_t(seconds * 1_000_000))
            return nil
        }
        var input = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
        guard poll(&input, 1, Int32(seconds * 1_000)) > 0 else { return nil }
        var byte: UInt8 = 0
        // A terminal that has gone reads as its end.
        guard read(STDIN_FILENO, &byte, 1) == 1 else { return .quit }
        return Self.meaning(of: byte)
    }

    /// q, Escape, Ctrl-C, Ctrl-D end it.
    static func meaning(of byte: UInt8) -> Key {
        [UInt8(ascii: "q"), UInt8(ascii: "Q"), 27, 3, 4].contains(byte) ? .quit : .other(byte)
    }

    private func write(_ text: String) {
        let bytes = Array(text.utf8)
        var done = 0
        while done < bytes.count {
            let count = bytes[done...].withUnsafeBytes { Glibc.write(STDOUT_FILENO, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return }
            done += count
        }
    }
}
