import CLinux

/// Descriptors 0, 1 and 2.
public enum StandardStreams {
    /// Opens /dev/null in the place of those that are closed; else the next files opened would be them, and what is printed would
    /// be written into these. Call it first thing in `main`.
    public static func openMissing() { qp_open_missing_stdio() }
}
