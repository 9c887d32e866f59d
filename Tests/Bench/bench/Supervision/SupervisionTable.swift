import Foundation

/// The comparison as a Markdown table.
struct SupervisionTable {
    let columns: [SupervisionBench.Column]

    var text: String {
        var lines = ["| | " + columns.map(\.name).joined(separator: " | ") + " |"]
        lines.append("|---" + String(repeating: "|---:", count: columns.count) + "|")
        row("kill -9 → next first instruction, median ms (\(SupervisionBench.restartFleet) agents)", &lines) {
            format(median($0.restart))
        }
        row("… p99 ms", &lines) { format(percentile($0.restart, 0.99)) }
        row("\(SupervisionBench.stormFleet) killed at once, all back, ms", &lines) { spread($0.storms) }
        row("\(SupervisionBench.stormFleet) from cold, ms", &lines) { spread($0.coldStarts) }
        row("idle \(Int(SupervisionBench.idleSeconds)) s: context switches", &lines) { "\($0.idleSwitches)" }
        row("… CPU ms", &lines) { "\($0.idleTicks * 10)" }
        row("memory at \(SupervisionBench.stormFleet) agents, PSS MB", &lines) { format(Double($0.pssBytes) / 1e6) }
        row("… in processes", &lines) { "\($0.processes)" }
        return lines.joined(separator: "\n")
    }

    private func row(_ title: String, _ lines: inout [String], _ value: (SupervisionBench.Column) -> String) {
        lines.append("| \(title) | " + columns.map(value).joined(separator: " | ") + " |")
    }

    private func spread(_ values: [Double]) -> String {
        "\(format(median(values))) (\(format(values.min() ?? .nan))–\(format(values.max() ?? .nan)))"
    }

    private func format(_ value: Double) -> String {
        String(format: value >= 100 ? "%.0f" : value >= 10 ? "%.1f" : "%.2f", value)
    }
}
