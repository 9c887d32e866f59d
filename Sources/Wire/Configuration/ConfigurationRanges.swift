/// What each number of the configuration may be. A value outside is an error that states the range.
enum ConfigurationRanges {
    static let initialMs = NumberRange(0...3_600_000, unit: "ms")
    static let maxMs = NumberRange(1...86_400_000, unit: "ms")
    static let multiplier = NumberRange(1...100, unit: "")
    static let resetAfterSeconds = NumberRange(0.001...86_400, unit: "s")
    static let restarts = NumberRange(0...1_000_000, unit: "")
    static let windowSeconds = NumberRange(0.001...86_400, unit: "s")
    /// 0: at once SIGKILL.
    static let stopTimeoutSeconds = NumberRange(0...3_600, unit: "s")
    static let startTimeoutSeconds = NumberRange(0.01...3_600, unit: "s")
    static let deadManSeconds = NumberRange(0.1...604_800, unit: "s")
    static let watchdogSeconds = NumberRange(0.01...3_600, unit: "s")

    static let cpu = NumberRange(0.01...1_024, unit: "cores")
    static let processes = NumberRange(1...4_194_304, unit: "")
    /// Below this the runtime itself can't open what it needs.
    static let files = NumberRange(16...1_048_576, unit: "")
    static let nice = NumberRange(-20...19, unit: "")
    static let memoryBytes = SizeRange(1 << 20...1 << 50)
    static let fileSizeBytes = SizeRange(0...1 << 50)
    static let coreBytes = SizeRange(0...1 << 50)

    static let logMaxSizeBytes = SizeRange(4 << 10...1 << 40)
    static let settleMs = NumberRange(10...60_000, unit: "ms")
    static let logFiles = NumberRange(1...1_000, unit: "")

    static let maxArguments = 256
    static let maxEnvironmentEntries = 256
    /// One string of an `execve` may have 128 KiB (MAX_ARG_STRLEN); QP_SETTINGS is one.
    static let maxStringBytes = 64 << 10
    static let maxSummaryBytes = 256
    static let maxPipelines = 64
}

/// A range of numbers, with the unit it is told in.
struct NumberRange: Sendable {
    let bounds: ClosedRange<Double>
    let unit: String

    init(_ bounds: ClosedRange<Double>, unit: String) {
        self.bounds = bounds
        self.unit = unit
    }

    var text: String {
        let suffix = unit.isEmpty ? "" : " \(unit)"
        return "\(Self.plain(bounds.lowerBound)) to \(Self.plain(bounds.upperBound))\(suffix)"
    }

    /// 64 and not 64.0.
    static func plain(_ value: Double) -> String {
        Int64(exactly: value).map { "\($0)" } ?? "\(value)"
    }
}

/// A range of sizes in bytes.
struct SizeRange: Sendable {
    let bounds: ClosedRange<Int64>

    init(_ bounds: ClosedRange<Int64>) { self.bounds = bounds }

    var text: String { "\(ByteSize(bytes: bounds.lowerBound)) to \(ByteSize(bytes: bounds.upperBound))" }
}
