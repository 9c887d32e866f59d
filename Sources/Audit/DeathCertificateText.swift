import Wire

extension DeathCertificate {
    /// For people: what happened, what to do next, and what it is known from. No line break at the end.
    ///
    /// - Parameter places: what `frames` are, one each, where that is known.
    public func text(places: [String] = [], colour: Bool = false) -> String {
        func strong(_ text: String) -> String { colour ? "\u{1B}[1m\(text)\u{1B}[0m" : text }
        func faint(_ text: String) -> String { colour ? "\u{1B}[2m\(text)\u{1B}[0m" : text }
        var lines = [strong(summary.visible), "Next: \(advice.visible)", ""]
        lines += facts.map { "  \(faint($0.0.padded(to: 12))) \($0.1)" }
        func section(_ title: String, _ body: [String]) {
            guard !body.isEmpty else { return }
            lines += ["", faint(title)] + body.map { "  \($0)" }
        }
        section(
            "Where it was, the innermost first:",
            frames.enumerated().map { index, frame in
                "\(frame)\(places.indices.contains(index) && !places[index].isEmpty ? "  \(places[index])" : "")"
            })
        if !frames.isEmpty, places.allSatisfy(\.isEmpty), let executable {
            lines.append(faint("  names: llvm-symbolizer -e \(executable) ADDRESS… (of a build that is not stripped)"))
        }
        // Where there was a process: of what never ran, nothing is expected.
        if lastLog.isEmpty, pid != nil {
            lines += ["", faint("Its last words: none; this incarnation wrote nothing.")]
        }
        section("Its last words:", lastLog.map(\.visible))
        section(
            "The last message of each wire:",
            lastMessages.map { message in
                "\(message.at)  \(message.wasSent ? "sent" : "received") \(message.wire) #\(message.sequence)  \(message.text)"
            })
        return lines.joined(separator: "\n")
    }

    private var facts: [(String, String)] {
        var facts: [(String, String)] = [
            ("incarnation", "\(incarnation)" + (pid.map { ", pid \($0)" } ?? "")), ("at", at),
            ("cause", cause.rawValue + (stopReason.map { " (\($0))" } ?? "")),
        ]
        if let code { facts.append(("code", "\(code)")) }
        if let signal { facts.append(("signal", signal)) }
        facts.append(("lived", "\(rounded(uptimeSeconds)) s" + (wasReady ? "" : ", never ready")))
        if let limitHit { facts.append(("limit hit", limitHit)) }
        if let peak = usage?.peakMemoryBytes {
            facts.append(("peak memory", "\(rounded(Double(peak) / 1_048_576)) MB"))
        }
        if let usage { facts.append(("CPU used", "\(rounded(usage.cpuSeconds)) s")) }
        if let throttled = usage?.throttledPeriods, throttled > 0 {
            facts.append(("throttled", "in \(throttled) periods by limits.cpu"))
        }
        if let forks = usage?.refusedForks, forks > 0 {
            facts.append(("forks", "\(forks) refused by limits.processes"))
        }
        return facts
    }

    private func rounded(_ value: Double) -> Double { (value * 1_000).rounded() / 1_000 }
}

extension String {
    fileprivate func padded(to width: Int) -> String {
        count >= width ? self : self + String(repeating: " ", count: width - count)
    }
}
