import Glibc

/// What is known of the terminal, and writing to it.
package enum Terminal {
    /// Where standard output is no terminal: whoever reads it wants whole names.
    static let unlimitedColumns = 10_000
    /// Narrower than any table can be.
    static let minimumColumns = 20

    static var isOutputTerminal: Bool { isatty(STDOUT_FILENO) == 1 }

    /// Colours only where a person looks (and https://no-color.org does not say otherwise).
    package static var usesColour: Bool {
        guard isOutputTerminal, variable("NO_COLOR") == nil else { return false }
        return variable("TERM") != "dumb"
    }

    package static var columns: Int {
        guard isOutputTerminal else { return unlimitedColumns }
        var size = winsize()
        if ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 {
            return max(minimumColumns, Int(size.ws_col))
        }
        return variable("COLUMNS").flatMap { Int($0) }.map { max(minimumColumns, $0) } ?? unlimitedColumns
    }

    /// Opens /dev/null in the place of standard input, output and error that are closed; else a socket would be the next of them,
    /// and be written to.
    package static func openMissing() {
        for descriptor in STDIN_FILENO...STDERR_FILENO where fcntl(descriptor, F_GETFD) == -1 && errno == EBADF {
            // The lowest that is free is this one.
            _ = open("/dev/null", O_RDWR)
        }
    }

    /// To standard output, at once: a follower is read through pipes.
    package static func say(_ text: String) {
        put(text)
        finish()
    }

    /// To standard output, with what follows: for many lines. `finish` writes what is left.
    package static func put(_ text: String) {
        // A null would end it.
        let line = text.utf8.contains(0) ? text.replacing("\0", with: "\\0") : text
        if puts(line) == EOF { endUnwritten() }
    }

    /// Writes what is held back.
    package static func finish() {
        if fflush(nil) != 0 { endUnwritten() }
    }

    /// An answer of which a part is missing is none. Whoever reads no further has what they wanted, and is told nothing.
    private static func endUnwritten() -> Never {
        let code = errno
        guard code != EPIPE else { _exit(brokenPipe) }
        complain(
            "agentctl: standard output can't be written: \(String(cString: strerror(code))); the answer is not whole")
        // Without another try to write it.
        _exit(ExitStatusCode.refused.rawValue)
    }

    /// How a shell tells of an end by SIGPIPE, for those to whom it is not delivered.
    private static let brokenPipe = 128 + SIGPIPE

    /// To standard error.
    package static func complain(_ text: String) {
        let line = Array((text + "\n").utf8)
        _ = line.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }

    private static func variable(_ name: String) -> String? {
        getenv(name).map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
    }
}
