#if canImport(FoundationEssentials)
    import FoundationEssentials
#endif

/// What is known of the end of one incarnation: written once, kept in `<run>/agents/NAME/exits/INCARNATION.json`, shown by
/// `agentctl why`.
public struct DeathCertificate: Sendable, Hashable, Codable {
    /// Folder in the agent's run directory.
    public static let folderName = "exits"
    /// Certificates kept of each agent; the oldest goes first.
    public static let kept = 20
    /// Lines of output in one.
    public static let logLines = 20
    /// Wires whose last messages are in one.
    public static let maxWires = 64

    public var agent: String
    public var incarnation: UInt64
    /// Nil: no process came into being.
    public var pid: Int32?
    /// RFC 3339, UTC.
    public var at: String
    public var uptimeSeconds: Double
    /// It had said that it was ready (or had been executed, where that counts as ready).
    public var wasReady: Bool
    public var cause: ExitCause
    public var code: Int32?
    public var signal: String?
    /// Why it was being stopped when it ended; nil if it was not.
    public var stopReason: String?
    /// The limit that ended it, in words.
    public var limitHit: String?
    /// What happened, in one sentence of plain English.
    public var summary: String
    /// What to do next.
    public var advice: String
    /// Nil where nothing is known of it: no process came into being, or nobody saw it end.
    public var usage: ExitUsage?
    /// Oldest first.
    public var lastLog: [String]
    /// What the dying process said of where it was: an address each, the innermost first (see `crash.c`); empty if it said
    /// nothing.
    public var frames: [String]
    /// Absolute path of the program that ran.
    public var executable: String?
    /// The last message of each wire, newest first.
    public var lastMessages: [WireMessage]

    /// The last message that the incarnation sent or received on one wire.
    public struct WireMessage: Sendable, Hashable, Codable {
        /// `MarketFeed.book>AlphaScanner.book`, or `AlphaScanner.signals` for the sending side of a stream.
        public var wire: String
        public var wasSent: Bool
        public var sequence: UInt64
        /// When it was sent. RFC 3339, UTC.
        public var at: String
        /// In a trader's words.
        public var text: String

        public init(wire: String, wasSent: Bool, sequence: UInt64, at: String, text: String) {
            self.wire = wire
            self.wasSent = wasSent
            self.sequence = sequence
            self.at = at
            self.text = text
        }
    }

    public init(agent: String, incarnation: UInt64, at: String, cause: ExitCause, summary: String, advice: String) {
        self.agent = agent
        self.incarnation = incarnation
        self.at = at
        self.cause = cause
        self.summary = summary
        self.advice = advice
        uptimeSeconds = 0
        wasReady = false
        lastLog = []
        frames = []
        lastMessages = []
    }

    /// As its file holds it: indented JSON, keys sorted.
    public var json: [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        guard let data = try? encoder.encode(self) else { preconditionFailure("a certificate is always encodable") }
        return Array(data) + [UInt8(ascii: "\n")]
    }

    /// - Throws: if the bytes are no certificate.
    public init(json: [UInt8]) throws {
        self = try JSONDecoder().decode(DeathCertificate.self, from: Data(json))
    }
}

/// The line that `qp_report_crashes` writes.
public enum CrashLine {
    public static let start = "crash: "
    static let frames = "frames: "

    /// The frames of the newest such line; empty if there is none.
    public static func frames(in log: some BidirectionalCollection<String>) -> [String] {
        guard let line = log.last(where: { $0.hasPrefix(start) }), let at = line.firstRange(of: frames) else {
            return []
        }
        return line[at.upperBound...].split(separator: " ").map(String.init).filter { $0.hasPrefix("0x") }
    }
}
